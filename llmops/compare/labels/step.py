"""What a user does with human labels: write the sample to a file, and read the filled file back."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

from llmops.compare.labels.combine import human_labels
from llmops.compare.labels.draw import draw
from llmops.compare.labels.sheet import read_sheet, require_format, write_sheet
from llmops.errors import NotFoundError, UsageError
from llmops.records import Comparison, HumanLabels
from llmops.report import labels_text, publish
from llmops.store import connection
from llmops.store.tags import LABELS_FOLDER

LONGEST_NAME = 200
"""Bytes that a label file's name may have: a longer temporary name is used while it is written."""


def check_labels(file: Path | None, sample: int | None, *, candidates: int, method: str) -> Path:
    """Return the label file, and refuse, before anything is generated, labels that could not be written or read.

    Args:
        file: Label file; ``None`` without labels.
        sample: Number of prompts to draw; ``None`` to read labels.
        candidates: Number of candidates.
        method: Method of the comparison.

    Returns:
        The label file.

    Raises:
        UsageError: The options do not fit each other, or the file cannot be written.
        NotFoundError: There is no file to read.
        DataError: The file to read is not complete; see ``read_sheet``.
    """
    if file is None:
        raise UsageError(
            f"--label-sample {sample} needs a new file for the sample",
            next_command="add --labels labels.csv",
        )
    if method != "fixed":
        raise UsageError(
            f"--labels needs the answers to every prompt, and --method {method} may stop early",
            next_command="add --method fixed",
        )
    if candidates > 1:
        raise UsageError(f"--labels takes one candidate, received {candidates}")
    if sample is not None:
        _require_new(file, sample)
    elif not file.exists():
        raise NotFoundError(
            f"--labels {file}: no such file",
            next_command="to draw prompts for humans to label, add --label-sample 100",
        )
    else:
        read_sheet(file)
    return file


def label(comparison: Comparison, file: Path, sample: int | None) -> tuple[Comparison, str]:
    """Write a sample to label, or combine the labels; return the comparison and lines about it.

    Args:
        comparison: A comparison that asked every prompt.
        file: Label file.
        sample: Number of prompts to draw; ``None`` to read labels.

    Raises:
        LlmopsError: See ``write_label_sample`` and ``with_human_labels``.
    """
    if sample is None:
        labelled = with_human_labels(comparison, file)
        return labelled, labels_text(labelled)
    write_label_sample(comparison, file, sample)
    return comparison, (
        f"{sample} prompts to label: {file}\n"
        "  Next: write one, two or tie in the column `preference`, then rerun without"
        f" --label-sample {sample}"
    )


def write_label_sample(comparison: Comparison, file: str | Path, sample: int = 100) -> Path:
    """Draw prompts at random and write them to a file for humans to label.

    Each row shows a prompt and both answers in a random order; the column ``preference`` is to be
    filled with ``one``, ``two`` or ``tie``. The sample follows from suite and sides, so the same
    comparison draws the same prompts.

    Args:
        comparison: A comparison that asked every prompt (``method="fixed"``).
        file: New file, ``.csv`` or ``.jsonl``.
        sample: Number of prompts to draw, at least 50; at least two must be left.

    Returns:
        The file.

    Raises:
        UsageError: The comparison stopped early, or the file exists or has another suffix.
        DataError: The suite is too small for this sample.
        LlmopsError: The file cannot be written.

    Example:
        from llmops.compare import compare, write_label_sample
        from llmops.recipe import Compare

        config = Compare(method="fixed")
        comparison = compare("models:/bot@champion", "models:/bot/4", "test.jsonl", config)
        write_label_sample(comparison, "labels.csv", 100)
    """
    _require_new(Path(file), sample)
    write_sheet(draw(comparison, sample), Path(file))
    return Path(file)


def with_human_labels(comparison: Comparison, file: str | Path) -> Comparison:
    """Combine a filled label file with the first scorer, and log the result to the comparison's run.

    The estimate is that of prediction-powered inference (PPI++): the scorer's mean over all prompts,
    corrected by the human labels. The report of the run is written again with it.

    Args:
        comparison: The comparison for which ``write_label_sample`` wrote the file, from ``compare``.
        file: The file with a preference in each row.

    Returns:
        The comparison with ``human_labels``.

    Raises:
        NotFoundError: No such file.
        DataError: A row has no preference or a wrong one, or the rows are not the drawn sample.
        UsageError: The comparison stopped early.
        StoreError: The MLflow store refuses.

    Example:
        from llmops.compare import compare, with_human_labels
        from llmops.recipe import Compare

        config = Compare(method="fixed")
        comparison = compare("models:/bot@champion", "models:/bot/4", "test.jsonl", config)
        found = with_human_labels(comparison, "labels.csv").human_labels
        print(found.difference, found.low, found.high, found.effective)
    """
    found = human_labels(comparison, Path(file))
    labelled = replace(comparison, human_labels=found)
    with connection.store_errors("logging the human labels"):
        client = connection.client()
        for name, value in _metrics(found).items():
            client.log_metric(comparison.run_id, name, value)
        client.log_artifact(comparison.run_id, str(file), LABELS_FOLDER)
    publish(comparison.run_id, labelled)
    return labelled


def _require_new(file: Path, sample: int) -> None:
    require_format(file)
    if file.exists() or file.is_symlink():
        raise UsageError(
            f"--labels {file}: exists; a sample is written to a new file",
            next_command=f"to read the labels in it, leave out --label-sample {sample}",
        )
    if len(os.fsencode(file.name)) > LONGEST_NAME:
        raise UsageError(f"--labels {file}: its name is longer than {LONGEST_NAME} bytes")
    parent = file.parent
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise UsageError(f"--labels {file}: its folder does not exist or is not writable")


def _metrics(found: HumanLabels) -> dict[str, float]:
    """Return the metrics of the run; MLflow groups charts by the part before the ``/``."""
    values = {
        "delta": found.difference,
        "lo": found.low,
        "hi": found.high,
        "alone_delta": found.alone,
        "alone_lo": found.alone_low,
        "alone_hi": found.alone_high,
        "labels": float(found.labels),
        "effective": found.effective,
        "correlation": found.correlation,
    }
    return {
        f"human_labels/{name}": round(value, 6)
        for name, value in values.items()
        if not math.isnan(value)
    }
