"""A merged directory answers like the version, also for libraries of another age."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import adapter_logits, merged_logits, names, special_adapter
from safetensors.torch import load_file, save_file
from tiny_models import build_tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from versions import log_version

from llmops.errors import UsageError
from llmops.flavor.export.version import export
from llmops.records import BaseModel, ModelVersion

TEMPLATE = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}"


def test_merged_answers_like_the_adapter(
    version: ModelVersion, tiny_model: Path, tiny_adapter: Path, place: Path
) -> None:
    done = export("models:/bot@champion", place / "bot")
    expected = adapter_logits(tiny_model, tiny_adapter)
    torch.testing.assert_close(merged_logits(place / "bot"), expected, atol=1e-5, rtol=1e-5)
    assert done.difference is not None
    assert done.difference < 1e-5
    assert done.uri == version.uri
    assert names(place) == {"bot"}
    assert done.size == sum(file.stat().st_size for file in (place / "bot").iterdir())


def test_merged_is_whole_and_names_no_machine(
    version: ModelVersion, tiny_model: Path, place: Path, tmp_path: Path
) -> None:
    export(version.uri, place / "bot")
    written, base = (
        AutoTokenizer.from_pretrained(folder) for folder in (place / "bot", tiny_model)
    )
    assert written.chat_template == base.chat_template
    assert written("Split a pathname.") == base("Split a pathname.")
    text = "".join(file.read_text() for file in (place / "bot").glob("*.json"))
    assert str(tmp_path) not in text
    assert str(tiny_model) not in text
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (place / "bot").iterdir()}
    assert len(modes) == 1, "another user may serve it"


def test_merged_can_be_read_by_transformers_4(version: ModelVersion, place: Path) -> None:
    # transformers 4.57 takes rope_theta 10000 if it finds none, and knows no TokenizersBackend.
    export(version.uri, place / "bot")
    config = json.loads((place / "bot/config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert config["rope_scaling"] is None
    assert config["torch_dtype"] == config["dtype"] == "float32"
    settings = json.loads((place / "bot/tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_merged_in_half_precision_says_how_far_it_is_off(
    version: ModelVersion, place: Path, dtype: str
) -> None:
    done = export(version.uri, place / "bot", dtype=dtype)
    assert AutoModelForCausalLM.from_pretrained(place / "bot").dtype == getattr(torch, dtype)
    assert done.difference is not None
    assert 1e-5 < done.difference < 0.1


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")  # peft 0.21 of lm_head
@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"target_modules": ["lm_head", "q_proj"]},
        {"modules_to_save": ["lm_head"]},
    ],
    ids=["dora", "lora of a tied head", "a tied head of its own"],
)
def test_merged_for_adapters_that_vllm_does_not_serve(
    store: str, tmp_path: Path, place: Path, options: dict[str, Any]
) -> None:
    tied = build_tiny_model(tmp_path / "tied", seed=3)
    config = json.loads((tied / "config.json").read_text())
    (tied / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    weights = load_file(tied / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, tied / "model.safetensors", {"format": "pt"})
    adapter = special_adapter(tied, tmp_path / "adapter", **options)
    version = log_version(adapter, str(tied), "bot")
    export(version.uri, place / "bot")
    expected = adapter_logits(tied, adapter)
    torch.testing.assert_close(merged_logits(place / "bot"), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::peft.utils.warning.PeftWarning")
def test_an_adapter_that_has_no_place_in_the_layers_is_refused(
    base: BaseModel, tiny_model: Path, place: Path, tmp_path: Path
) -> None:
    adapter = special_adapter(tiny_model, tmp_path / "adapter", lora_bias=True)
    version = log_version(adapter, base, "bot")
    with pytest.raises(UsageError, match=r"cannot merge this adapter.* no bias") as refused:
        export(version.uri, place / "bot")
    assert refused.value.next_command == f"llmops export {version.uri} DIRECTORY --format adapter"
    assert not names(place)


def test_a_full_model_is_copied(store: str, tiny_model: Path, place: Path) -> None:
    version = log_version(tiny_model, None, "full")
    done = export(version.uri, place / "full")
    weights = (tiny_model / "model.safetensors").read_bytes()
    assert (place / "full/model.safetensors").read_bytes() == weights
    assert done.difference is None
    assert export(version.uri, place / "half", dtype="bfloat16").difference is not None
    with pytest.raises(UsageError, match="is a full model and has no adapter"):
        export(version.uri, place / "adapter", format="adapter")
    assert names(place) == {"full", "half"}


def test_the_versions_own_tokenizer_wins(
    base: BaseModel, tiny_model: Path, tiny_adapter: Path, place: Path, tmp_path: Path
) -> None:
    own = AutoTokenizer.from_pretrained(tiny_model)
    own.chat_template = TEMPLATE
    own.add_bos_token = True
    own.bos_token = "<|im_start|>"
    own.save_pretrained(tmp_path / "own")
    version = log_version(tiny_adapter, base, "bot", tokenizer=str(tmp_path / "own"))
    for format in ("merged", "adapter"):
        export(version.uri, place / format, format=format)
        written = AutoTokenizer.from_pretrained(place / format)
        assert written.chat_template == TEMPLATE
        assert written.bos_token == "<|im_start|>"


def test_a_tokenizer_without_a_template_keeps_that_of_the_base(
    base: BaseModel, tiny_model: Path, tiny_adapter: Path, place: Path, tmp_path: Path
) -> None:
    own = AutoTokenizer.from_pretrained(tiny_model)
    template, own.chat_template, own.bos_token = own.chat_template, None, "<|im_start|>"
    own.save_pretrained(tmp_path / "own")
    version = log_version(tiny_adapter, base, "bot", tokenizer=str(tmp_path / "own"))
    export(version.uri, place / "adapter", format="adapter")
    assert AutoTokenizer.from_pretrained(place / "adapter").chat_template == template
