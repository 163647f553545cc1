from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import UsageError
from llmops.models import vllm_limits


def test_a_plain_lora_is_served() -> None:
    config = {"r": 16, "lora_alpha": 32, "bias": "none", "init_lora_weights": True}
    assert vllm_limits.unservable(config) is None
    assert vllm_limits.unservable({}) is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 2}}, "ranks that differ by module"),
        ({"bias": "all"}, "bias=all"),
        ({"r": 1024}, "rank 1024 above 512"),
        ({"init_lora_weights": "pissa_niter_4"}, "initialised with pissa_niter_4"),
        ({"use_dora": True, "bias": "lora_only"}, "DoRA, bias=lora_only"),
    ],
)
def test_what_vllm_refuses_has_its_reason(config: dict[str, Any], reason: str) -> None:
    found = vllm_limits.unservable(config)
    assert found is not None
    assert reason in found


def test_a_gaussian_start_leaves_the_base_alone() -> None:
    assert vllm_limits.unservable({"init_lora_weights": "gaussian"}) is None


@pytest.mark.parametrize(
    ("rank", "allowed"), [(1, 1), (2, 8), (8, 8), (9, 16), (257, 320), (512, 512)]
)
def test_the_next_rank_that_vllm_knows_is_enough(rank: int, allowed: int) -> None:
    assert vllm_limits.vllm_rank(rank) == allowed


def test_a_rank_above_all_is_refused() -> None:
    with pytest.raises(UsageError, match="rank 513: vLLM serves 512 at most"):
        vllm_limits.vllm_rank(513)


def test_the_files_of_a_version_are_judged_by_its_adapter_and_its_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 12, "lora_bias": True}))
    assert vllm_limits.unservable_files(tmp_path, None) == "LoRA bias"
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 12}))
    assert vllm_limits.unservable_files(tmp_path, None) is None
    assert vllm_limits.unservable_files(None, None) is None
    own = vllm_limits.unservable_files(tmp_path, tmp_path)
    assert own is not None
    assert "tokenizer, chat template or generation configuration of its own" in own
    assert vllm_limits.rank_of(tmp_path) == 12
    assert vllm_limits.rank_of(None) == 0
