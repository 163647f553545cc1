"""The vLLM engine: a vLLM server in a separate process, on loopback."""

from llmops.engine.vllm.engine import VllmEngine

__all__ = ["VllmEngine"]
