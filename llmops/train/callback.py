"""What training reports: metrics to MLflow, progress to the terminal, marks on checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from llmops.progress import Progress
from llmops.train import checkpoints

METRICS = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
}
"""The trainer's names of numbers, and their names in MLflow."""


class LoopCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each optimizer step.

    Args:
        seconds: Training time before this session, in seconds.
        first_step: Optimizer steps done before this session.
    """

    def __init__(self, *, seconds: float = 0.0, first_step: int = 0) -> None:
        self.before = seconds
        self.first_step = first_step
        self._begun = self._step_begun = time.monotonic()
        self._tokens = 0
        self._progress: Progress | None = None

    @property
    def seconds(self) -> float:
        """Training time of all sessions, in seconds."""
        return self.before + time.monotonic() - self._begun

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock and the progress bar."""
        self._begun = self._step_begun = time.monotonic()
        self._tokens = state.num_input_tokens_seen
        self._progress = Progress(state.max_steps, "train", initial=self.first_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any
    ) -> None:
        """Log the numbers of one step to MLflow."""
        if not logs or "loss" not in logs:
            return
        import mlflow

        elapsed = time.monotonic() - self._step_begun
        speed = (state.num_input_tokens_seen - self._tokens) / max(elapsed, 1e-9)
        self._step_begun, self._tokens = time.monotonic(), state.num_input_tokens_seen
        metrics = {name: float(logs[key]) for key, name in METRICS.items() if key in logs}
        metrics |= {"train/tokens_per_second": speed, "train/memory_mb": memory_bytes() / 2**20}
        mlflow.log_metrics(
            {k: v for k, v in metrics.items() if math.isfinite(v)}, step=state.global_step
        )
        if self._progress is not None:
            self._progress.advance(
                state.global_step - self._progress.done,
                f"loss {logs['loss']:.3f}, {speed:.0f} tokens/s",
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as complete, with the training time so far."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        checkpoints.mark(folder, self.seconds)

    def close(self) -> None:
        """Close the progress bar, however training ended."""
        if self._progress is not None:
            self._progress.close()


def memory_bytes() -> int:
    """Return the bytes in use now: resident memory of this process, plus CUDA memory."""
    import psutil
    import torch

    used = int(psutil.Process().memory_info().rss)
    if torch.cuda.is_available():
        used += int(torch.cuda.memory_allocated())
    return used


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process, in bytes."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
