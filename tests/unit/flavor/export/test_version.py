"""An export is whole and answers like the version, or nothing is there."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from exports import adapter_logits, logits_of, names, special_adapter
from filelock import FileLock
from peft import AutoPeftModelForCausalLM
from versions import log_version

from llmops.errors import LlmopsError, NotFoundError, UsageError
from llmops.flavor.export.version import _reference, export
from llmops.records import BaseModel, ModelVersion


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
        ({"format": "adapter", "dtype": "float16"}, "copied unchanged"),
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


def test_two_exports_to_one_place(version: ModelVersion, place: Path) -> None:
    with (
        FileLock(place / ".bot.exporting.lock"),
        pytest.raises(UsageError, match="another process is exporting there"),
    ):
        export(version.uri, place / "bot", format="adapter")
    assert not (place / "bot").exists()
