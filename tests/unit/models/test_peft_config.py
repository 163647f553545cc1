"""An adapter is compared with its base before anything is registered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file
from tiny_models import build_tiny_adapter, build_tiny_model
from versions import log_version, refused_to_log, tensors_of

from llmops.errors import IntegrityError, LlmopsError
from llmops.models import adapters
from llmops.models.resolve import resolve
from llmops.records import BaseModel


def test_the_adapter_of_another_base_is_refused(base: BaseModel, tmp_path: Path) -> None:
    larger = build_tiny_model(tmp_path / "larger", hidden_size=64)
    adapter = build_tiny_adapter(larger, tmp_path / "foreign")
    refused_to_log(
        adapter,
        base,
        IntegrityError,
        r"does not fit its base tiny: 22 tensors have another shape, such as .* in the file",
    )


def test_another_rank_is_refused_with_both_shapes(adapter: Path, base: BaseModel) -> None:
    config = json.loads((adapter / adapters.CONFIG).read_text())
    (adapter / adapters.CONFIG).write_text(json.dumps({**config, "r": 8}))
    refused_to_log(adapter, base, IntegrityError, r"\[4, 64\] in the file, \[8, 64\] in the model")


def test_another_rank_of_one_module_is_refused_with_both_shapes(
    adapter: Path, base: BaseModel
) -> None:
    config = json.loads((adapter / adapters.CONFIG).read_text())
    config["rank_pattern"] = {"q_proj": 2}
    (adapter / adapters.CONFIG).write_text(json.dumps(config))
    refused_to_log(
        adapter, base, IntegrityError, r"q_proj.*: \[4, 32\] in the file, \[2, 32\] in the model"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [("missing", "1 tensors .* not in the file"), ("extra", "1 tensors .* no place in the model")],
)
def test_missing_and_extra_tensors_are_counted_and_named(
    adapter: Path, base: BaseModel, change: str, says: str
) -> None:
    file, tensors = tensors_of(adapter)
    name = next(iter(tensors))
    if change == "missing":
        del tensors[name]
    else:
        tensors["base_model.model.surprise.lora_A.weight"] = tensors[name]
    save_file(tensors, file, metadata={"format": "pt"})
    refused_to_log(adapter, base, IntegrityError, says)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"peft_type": "PREFIX_TUNING"}'])
def test_a_damaged_or_foreign_configuration_is_refused(
    adapter: Path, base: BaseModel, content: str
) -> None:
    (adapter / adapters.CONFIG).write_text(content)
    refused_to_log(adapter, base, LlmopsError, r"adapter_config\.json: (damaged|peft_type is)")


def test_settings_that_only_training_reads_are_not_stored(
    adapter: Path, base: BaseModel, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((adapter / adapters.CONFIG).read_text())
    swift = {
        "lorap_lr_ratio": 16.0,
        "lorap_emb_lr": 1e-6,
        "lora_dtype": None,
        "unsloth_version": "1",
    }
    (adapter / adapters.CONFIG).write_text(json.dumps(config | swift))
    files = resolve(log_version(adapter, base, "bot").uri)
    assert files.adapter_dir is not None
    stored = json.loads((files.adapter_dir / adapters.CONFIG).read_text())
    assert not {name for name, value in stored.items() if value} & set(swift)
    assert "lorap_emb_lr, lorap_lr_ratio, unsloth_version" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["enable_lora", "model_key_mapping", "scaling_lr_of_2031_rank"])
def test_other_settings_that_peft_does_not_know_are_refused_by_name(
    adapter: Path, base: BaseModel, name: str
) -> None:
    config = json.loads((adapter / adapters.CONFIG).read_text())
    (adapter / adapters.CONFIG).write_text(json.dumps(config | {name: {"a": "b"}}))
    refused_to_log(adapter, base, LlmopsError, f"sets {name}, which PEFT .* does not know")
