"""The suite of a gate that names none: the test split of the candidate's training run."""

from __future__ import annotations

from pathlib import Path

from llmops.errors import StoreError, UsageError
from llmops.records import ModelFiles
from llmops.store import artifacts
from llmops.store.tags import TEST_SPLIT


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
