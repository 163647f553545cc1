"""What is exported answers like the version, for transformers and PEFT alone; or nothing is there."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_models import build_tiny_adapter, build_tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from versions import log_version

from llmops import flavor
from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.flavor.export import gguf
from llmops.flavor.export.version import _reference, export
from llmops.records import BaseModel, ModelVersion

IDS = [[5, 6, 7, 8, 9]]
TEMPLATE = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}"
Make = Callable[..., Path]


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.tensor(IDS)).logits


def merged_logits(directory: Path) -> torch.Tensor:
    return logits_of(AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32))


def adapter_logits(base: Path, adapter: Path) -> torch.Tensor:
    return logits_of(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter))


def special_adapter(base: Path, directory: Path, **options: Any) -> Path:
    """An adapter of any kind whose weights are not zero."""
    torch.manual_seed(5)
    config = LoraConfig(
        **{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options},
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in tuned.named_parameters():
        if "modules_to_save" in name:
            parameter.data += torch.randn_like(parameter)
    tuned.save_pretrained(directory, save_embedding_layers=False)
    return directory


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which nothing but the export may appear."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


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


def test_a_full_model_is_copied(store: str, tiny_model: Path, place: Path) -> None:
    version = log_version(tiny_model, None, "full")
    done = export(version.uri, place / "full")
    weights = (tiny_model / "model.safetensors").read_bytes()
    assert (place / "full/model.safetensors").read_bytes() == weights
    assert done.difference is None
    assert export(version.uri, place / "half", dtype="bfloat16").difference is not None
    with pytest.raises(UsageError, match="a full model, it has no adapter"):
        export(version.uri, place / "adapter", format="adapter")
    assert names(place) == {"full", "half"}


def test_an_adapter_round_trips_exactly_through_peft(
    version: ModelVersion, tiny_model: Path, tiny_adapter: Path, place: Path
) -> None:
    export(version.uri, place / "bot", format="adapter")
    expected = adapter_logits(tiny_model, tiny_adapter)
    assert torch.equal(adapter_logits(tiny_model, place / "bot"), expected)
    by_its_base = AutoPeftModelForCausalLM.from_pretrained(place / "bot")
    assert torch.equal(logits_of(by_its_base), expected)
    assert names(place / "bot") == {"adapter_config.json", "adapter_model.safetensors"}


def test_an_adapter_names_its_base_by_its_hub_id(version: ModelVersion, base: BaseModel) -> None:
    from_hub = replace(base, origin="hub:Owner/Name-1.5@0123abc")
    assert _reference(from_hub) == ("Owner/Name-1.5", "0123abc")
    assert _reference(base) == (str(base.directory), None)


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


def test_an_adapter_that_vllm_cannot_serve_is_refused(
    base: BaseModel, tiny_model: Path, tmp_path: Path, place: Path
) -> None:
    adapter = special_adapter(tiny_model, tmp_path / "adapter", use_dora=True)
    version = log_version(adapter, base, "bot")
    with pytest.raises(UsageError, match="vLLM cannot serve it: DoRA") as caught:
        export(version.uri, place / "bot", format="adapter")
    assert "--format merged" in str(caught.value)
    assert names(place) == set()


def test_targets_that_are_taken_or_have_no_place(version: ModelVersion, place: Path) -> None:
    (place / "full").mkdir()
    (place / "full/mine.txt").write_text("mine")
    (place / "file").write_text("mine")
    (place / "empty").mkdir()
    with pytest.raises(UsageError, match=r"exists and is a directory that is not empty"):
        export(version.uri, place / "full")
    with pytest.raises(UsageError, match="exists and is not a directory"):
        export(version.uri, place / "file")
    with pytest.raises(NotFoundError, match="mkdir -p"):
        export(version.uri, place / "no/bot")
    export(version.uri, place / "empty", format="adapter")
    assert names(place) == {"full", "file", "empty"}
    assert (place / "full/mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "onnx"}, "allowed: merged, adapter, gguf"),
        ({"dtype": "int8"}, "allowed: float32, bfloat16, float16"),
        ({"format": "adapter", "dtype": "float16"}, "copied as they are"),
        ({"converter": "python x.py"}, "is for the format 'gguf'"),
    ],
)
def test_options_that_do_not_fit(place: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        export("models:/bot/1", place / "bot", **options)


def test_a_full_disk_leaves_nothing(version: ModelVersion, place: Path) -> None:
    export(version.uri, place / "first")  # the adapter and its base are in the cache now
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    weights = (place / "first/model.safetensors").stat().st_size
    # The kernel refuses the write itself (EFBIG), the way a full disk does (ENOSPC).
    resource.setrlimit(resource.RLIMIT_FSIZE, (weights // 2, limit[1]))
    try:
        with pytest.raises((LlmopsError, OSError), match=r"cannot be written|File too large"):
            export(version.uri, place / "bot")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert names(place) == {"first"}


# A converter is a process of its own, so it can stop the export at a known point.
INTERRUPTS = "sh -c 'kill -INT $PPID; exec sleep 60'"
KILLS = "sh -c 'kill -9 $PPID'"
FAILS = "sh -c 'echo Model X is not supported >&2; exit 3'"
WRITES_NOTHING = "true"
EXPORT_GGUF = """
import sys
from llmops.flavor.export.version import export
export(*sys.argv[1:3], format="gguf", converter=sys.argv[3])
"""


def test_ctrl_c_leaves_nothing(version: ModelVersion, place: Path) -> None:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            export(version.uri, place / "bot", format="gguf", converter=INTERRUPTS)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert names(place) == set()


def test_kill_9_leaves_hidden_files_that_the_next_export_removes(
    version: ModelVersion, place: Path
) -> None:
    words = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        EXPORT_GGUF,
        version.uri,
        str(place / "bot"),
        KILLS,
    ]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert names(place) == {".bot.exporting", ".bot.exporting.lock"}
    export(version.uri, place / "bot", format="adapter")
    assert names(place) == {"bot"}


def test_two_exports_to_one_place(version: ModelVersion, place: Path) -> None:
    with (
        FileLock(place / ".bot.exporting.lock"),
        pytest.raises(UsageError, match="another process exports there"),
    ):
        export(version.uri, place / "bot", format="adapter")
    assert not (place / "bot").exists()


def test_gguf_without_a_converter_says_what_to_run(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(UsageError, match="GGUF export is not built in") as caught:
        export("models:/bot/1", place / "bot", format="gguf")
    assert "llama.cpp/convert_hf_to_gguf.py DIRECTORY --outfile" in str(caught.value)
    assert "--format merged" in str(caught.value)
    for wrong in ("", "no-such-program x.py", "python 'unclosed"):
        with pytest.raises(UsageError):
            export("models:/bot/1", place / "bot", format="gguf", converter=wrong)


@pytest.mark.parametrize(
    ("converter", "said"), [(FAILS, "Model X is not supported"), (WRITES_NOTHING, "no file")]
)
def test_a_converter_that_fails(
    version: ModelVersion, place: Path, converter: str, said: str
) -> None:
    with pytest.raises(LlmopsError, match=said):
        export(version.uri, place / "bot", format="gguf", converter=converter)
    assert names(place) == set()


@pytest.mark.e2e
@pytest.mark.skipif(
    shutil.which(gguf.COMMAND) is None, reason=f"llama.cpp's {gguf.COMMAND} is not on the PATH"
)
def test_gguf_holds_the_model_and_its_template(store: str, place: Path) -> None:
    # The tiny model will not do: llama.cpp knows tokenizers by name, and not this one.
    base = flavor.ensure_base("smollm2-135m-instruct")
    adapter = build_tiny_adapter(base.directory, place.parent / "adapter")
    version = log_version(adapter, base, "bot")
    export(version.uri, place / "gguf", format="gguf", dtype="float32")
    back = AutoModelForCausalLM.from_pretrained(place / "gguf", gguf_file=gguf.FILE)
    expected = adapter_logits(base.directory, adapter)
    torch.testing.assert_close(logits_of(back), expected, atol=1e-2, rtol=1e-3)
