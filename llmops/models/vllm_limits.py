"""What vLLM serves of LoRA adapters, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmops.errors import UsageError
from llmops.models.adapters import changes_base

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's ``--max-lora-rank`` may be."""

VLLM_REFUSES = {
    "use_dora": "DoRA",
    "modules_to_save": "modules_to_save",
    "lora_bias": "LoRA bias",
    "layer_replication": "layer replication",
    "alora_invocation_tokens": "aLoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "BD-LoRA",
    "target_parameters": "target_parameters",
    "trainable_token_indices": "trainable tokens",
    # vLLM computes one scaling from r and lora_alpha and would answer with the wrong one.
    "rank_pattern": "ranks that differ by module",
    "alpha_pattern": "alphas that differ by module",
}


def unservable(config: Mapping[str, Any]) -> str | None:
    """Why vLLM would refuse an adapter or answer wrongly with it, ``None`` if it serves it.

    Args:
        config: PEFT's ``adapter_config.json``.
    """
    reasons = [reason for key, reason in VLLM_REFUSES.items() if config.get(key)]
    if changes_base(config):
        reasons.append(f"initialised with {config['init_lora_weights']}, which changes the base")
    if config.get("bias", "none") != "none":
        reasons.append(f"bias={config['bias']}")
    if int(config.get("r", 0)) > VLLM_RANKS[-1]:
        reasons.append(f"rank {config['r']} above {VLLM_RANKS[-1]}")
    return ", ".join(reasons) or None


def vllm_rank(rank: int) -> int:
    """The ``--max-lora-rank`` of vLLM that is enough for adapters of this rank.

    Raises:
        UsageError: None is.
    """
    if rank > VLLM_RANKS[-1]:
        raise UsageError(f"rank {rank}: vLLM serves {VLLM_RANKS[-1]} at most")
    return next(allowed for allowed in VLLM_RANKS if allowed >= rank)
