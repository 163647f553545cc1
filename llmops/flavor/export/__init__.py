"""Export of a version as files for other programs: vLLM, transformers, llama.cpp, Ollama."""

from llmops.flavor.export.version import Export, export

__all__ = ["Export", "export"]
