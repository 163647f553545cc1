"""The held-out rule of the gate: no version is judged on prompts that it was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llmops.compare.leakage.trained_on import TrainedOn
from llmops.errors import DataError, StoreError, UsageError
from llmops.records import ModelFiles, Suite
from llmops.store import artifacts
from llmops.store.tags import TEST_SPLIT

SHOWN = 3
"""Number of ids that a message names."""


def download_test_split(side: ModelFiles, folder: Path) -> Path:
    """Download the test split that a version's training run kept.

    Splitting the data again may give another split: rows may have been added since.

    Args:
        side: The version.
        folder: Folder for the file.

    Returns:
        Path of the downloaded file.

    Raises:
        UsageError: The training run kept no test split.
    """
    try:
        if side.run_id is not None:
            return Path(artifacts.download(f"runs:/{side.run_id}/{TEST_SPLIT}", str(folder)))
    except (StoreError, OSError):
        pass  # reported below, with the next step
    raise UsageError(
        f"{side.uri}: its training run kept no test split",
        next_command=f"llmops gate RECIPE --candidate {side.uri} --suite FILE",
    )


def refuse_verbatim(checks: Iterable[TrainedOn], suite: Suite) -> None:
    """Refuse a suite that holds, word for word, prompts that a version was trained on.

    Raises:
        DataError: Prompts of the suite are in the training data.
    """
    for check in checks:
        if check.verbatim:
            raise DataError(
                f"suite {suite.path or suite.name}: {len(check.verbatim)} of {len(suite.examples)}"
                f" prompts are in the training data of {check.uri}, such as"
                f" {', '.join(map(repr, check.verbatim[:SHOWN]))}",
                next_command="remove them from the suite, or leave out --suite to use the test split of"
                f" {check.uri}",
            )
