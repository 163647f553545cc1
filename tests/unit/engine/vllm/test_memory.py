"""How much of a GPU vLLM may take; a stand-in for its Python says what is free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vllm_standins import interpreter, on_the_path, with_cards

from llmops.engine.vllm.environment import Environment, find_environment
from llmops.engine.vllm.memory import Card, cards, memory_arguments, weights_bytes
from llmops.errors import LlmopsError
from llmops.records import BaseModel, ModelFiles

H200 = ("NVIDIA H200", 128.1, 139.8)
SMALL = ("NVIDIA L4", 2.0, 22.5)


def environment(
    folder: Path, *found: tuple[str, float, float], vllm: str = "0.33.0"
) -> Environment:
    return find_environment(
        with_cards(interpreter(folder, vllm=vllm, transformers="5.19.0"), *found)
    )


def share(tmp_path: Path, base: BaseModel, *found: tuple[str, float, float]) -> list[str]:
    return memory_arguments(environment(tmp_path, *found), base, "bfloat16", [])


def test_cards_are_those_that_the_environment_sees(tmp_path: Path) -> None:
    assert cards(environment(tmp_path, H200)) == [
        Card("NVIDIA H200", int(128.1 * 2**30), int(139.8 * 2**30))
    ]
    assert cards(environment(tmp_path, H200, vllm="0.33.0+cpu")) == []


def test_the_share_is_what_is_free_less_a_margin(tmp_path: Path, base: ModelFiles) -> None:
    assert share(tmp_path, base.base, H200) == ["--gpu-memory-utilization", "0.89"]
    empty = ("NVIDIA H200", 139.0, 139.8)
    assert share(tmp_path, base.base, empty) == ["--gpu-memory-utilization", "0.92"]
    assert share(tmp_path, base.base) == []


def test_the_user_has_the_last_word(tmp_path: Path, base: ModelFiles) -> None:
    small = environment(tmp_path, SMALL)
    given = ["--gpu_memory_utilization=0.5"]
    assert memory_arguments(small, base.base, "bfloat16", given) == []
    assert memory_arguments(small, base.base, "bfloat16", [], 0.05) == [
        *("--gpu-memory-utilization", "0.05")
    ]


def test_only_the_cards_that_the_model_is_spread_over_count(
    tmp_path: Path, base: ModelFiles
) -> None:
    both = environment(tmp_path, ("NVIDIA L4", 20.0, 22.5), ("NVIDIA L4", 10.0, 22.5))
    (_, one) = memory_arguments(both, base.base, "bfloat16", [])
    (_, two) = memory_arguments(both, base.base, "bfloat16", ["-tp", "2"])
    assert (one, two) == ("0.82", "0.37")


def test_too_little_free_memory_is_said_with_who_has_it(
    tmp_path: Path, base: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = on_the_path(tmp_path / "bin", "nvidia-smi", "4242, python, 20480 MiB")
    monkeypatch.setenv("PATH", str(smi), prepend=":")
    with pytest.raises(LlmopsError) as refused:
        share(tmp_path, base.base, SMALL)
    assert "NVIDIA L4 has 2.0 of 22.5 GiB free; the weights of tiny need 0.0 GiB" in str(
        refused.value
    )
    assert "in use by: 4242, python, 20480 MiB" in str(refused.value)


def test_a_card_that_cannot_be_asked_is_an_error(tmp_path: Path) -> None:
    python = interpreter(tmp_path, vllm="0.33.0", transformers="5.19.0")
    broken = find_environment(python)
    python.write_text("#!/bin/sh\necho 'RuntimeError: CUDA error: out of memory' >&2\nexit 1\n")
    with pytest.raises(
        LlmopsError, match=r"cannot ask for the memory .* CUDA error: out of memory"
    ):
        cards(broken)


def test_weights_are_counted_in_the_dtype_in_which_they_are_served(
    base: ModelFiles, tmp_path: Path
) -> None:
    full, half = (weights_bytes(base.base, dtype) for dtype in ("float32", "bfloat16"))
    stored = (base.base.directory / "model.safetensors").stat().st_size
    assert full == 2 * half
    assert 0.9 * stored < full <= stored
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"bits": 4}}))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    quantised = BaseModel("tiny", "models:/tiny/1", "0" * 64, tmp_path)
    assert weights_bytes(quantised, "bfloat16") == 100
