"""Complete checkpoints, told apart from those that a kill left half written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

MARK = "llmops.json"
"""File that is written last, so a checkpoint without it is incomplete."""


def mark(checkpoint: Path, seconds: float) -> None:
    """Mark a checkpoint as complete, with the training time so far (seconds)."""
    (checkpoint / MARK).write_text(json.dumps({"seconds": seconds}))


def seconds(checkpoint: Path) -> float:
    """Return the training time up to a checkpoint, in seconds."""
    return float(json.loads((checkpoint / MARK).read_text())["seconds"])


def step(checkpoint: Path) -> int:
    """Return the optimizer step of a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def last(folder: Path) -> Path | None:
    """Remove incomplete checkpoints; return the newest complete one, ``None`` if there is none."""
    for path in folder.glob("checkpoint-*"):
        if not (path / MARK).is_file():
            shutil.rmtree(path)
    return max(folder.glob("checkpoint-*"), key=step, default=None)
