"""Let a vLLM that somebody starts resolve ``bot@v7`` from MLflow's registry.

vLLM loads this in each of its processes. It is off unless ``LLMOPS_VLLM_RESOLVER=1``, and imports
MLflow only when a request names a version that vLLM does not know.
"""

from __future__ import annotations

import os
from typing import Any

NAME = "llmops"


def register() -> None:
    """Register the resolver, if it is switched on."""
    if os.environ.get("LLMOPS_VLLM_RESOLVER") != "1":
        return
    from vllm.lora.resolver import LoRAResolverRegistry

    from llmops.serve.engines import resolver

    if NAME not in LoRAResolverRegistry.get_supported_resolvers() and resolver.enabled():
        LoRAResolverRegistry.register_resolver(NAME, _resolver())


def _resolver() -> Any:
    """Return the resolver; its class can be made only where vLLM is installed."""
    from vllm.lora.request import LoRARequest
    from vllm.lora.resolver import LoRAResolver

    from llmops.serve.engines.resolver import adapter_of

    class Resolver(LoRAResolver):  # type: ignore[misc]
        """Resolves immutable names of versions."""

        async def resolve_lora(self, base_model_name: str, lora_name: str) -> Any:
            """Return the adapter, ``None`` if there is none that may be served."""
            folder = await adapter_of(base_model_name, lora_name)
            if folder is None:
                return None
            # vLLM replaces the number.
            return LoRARequest(lora_name=lora_name, lora_int_id=1, lora_path=str(folder))

    return Resolver()
