"""Which LoRA adapters vLLM serves, and which it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.errors import UsageError
from llmops.models import safety
from llmops.models.adapters import CONFIG, changes_base

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM allows for ``--max-lora-rank``."""

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
    # vLLM computes a single scaling from r and lora_alpha, and would answer with the wrong one.
    "rank_pattern": "ranks that differ by module",
    "alpha_pattern": "alphas that differ by module",
}
"""Settings of PEFT that vLLM refuses or computes wrongly, and their names for people."""


def unservable(config: Mapping[str, Any]) -> str | None:
    """Return why vLLM cannot serve an adapter, ``None`` if it can.

    Args:
        config: Content of the adapter's ``adapter_config.json``.
    """
    reasons = [reason for key, reason in VLLM_REFUSES.items() if config.get(key)]
    if changes_base(config):
        reasons.append(f"initialised with {config['init_lora_weights']}, which changes the base")
    if config.get("bias", "none") != "none":
        reasons.append(f"bias={config['bias']}")
    if int(config.get("r", 0)) > VLLM_RANKS[-1]:
        reasons.append(f"rank {config['r']} above {VLLM_RANKS[-1]}")
    return ", ".join(reasons) or None


def unservable_files(adapter_dir: Path | None, tokenizer_dir: Path | None) -> str | None:
    """Return why vLLM would refuse a version or answer differently from it, ``None`` if it would not.

    Args:
        adapter_dir: Folder of its adapter; ``None`` for a full model.
        tokenizer_dir: Folder of a tokenizer of its own; ``None`` if it uses that of its base.
    """
    if tokenizer_dir is not None:
        return (
            "it has a tokenizer, chat template or generation configuration of its own; a vLLM server"
            " uses those of the base model for all versions"
        )
    return None if adapter_dir is None else unservable(safety.read_json(adapter_dir / CONFIG))


def rank_of(adapter_dir: Path | None) -> int:
    """Return the rank of an adapter, 0 without one."""
    return 0 if adapter_dir is None else int(safety.read_json(adapter_dir / CONFIG)["r"])


def vllm_rank(rank: int) -> int:
    """Return the smallest ``--max-lora-rank`` of vLLM that fits adapters of this rank.

    Raises:
        UsageError: The rank is above vLLM's limit.
    """
    if rank > VLLM_RANKS[-1]:
        raise UsageError(f"rank {rank}: vLLM serves {VLLM_RANKS[-1]} at most")
    return next(allowed for allowed in VLLM_RANKS if allowed >= rank)
