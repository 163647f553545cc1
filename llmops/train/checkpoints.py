"""Checkpoints that can be trusted: a kill in the middle of a save leaves a torn one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

MARK = "llmops.json"
"""Written last into a checkpoint, so a checkpoint without it is not whole."""


def mark(checkpoint: Path, seconds: float) -> None:
    """Declares a checkpoint whole, with the training time spent so far."""
    (checkpoint / MARK).write_text(json.dumps({"seconds": seconds}))


def seconds(checkpoint: Path) -> float:
    """Training time spent up to a checkpoint."""
    return float(json.loads((checkpoint / MARK).read_text())["seconds"])


def step(checkpoint: Path) -> int:
    """Optimizer step of a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def last(folder: Path) -> Path | None:
    """The newest whole checkpoint of a folder, ``None`` if there is none; torn ones are removed."""
    for path in folder.glob("checkpoint-*"):
        if not (path / MARK).is_file():
            shutil.rmtree(path)
    return max(folder.glob("checkpoint-*"), key=step, default=None)
