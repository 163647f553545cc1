"""Stage ``train``: a LoRA adapter, its metrics in MLflow, its checkpoints on disk."""

from llmops.train.sft import train

__all__ = ["train"]
