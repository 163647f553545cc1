"""Held-out prompts stay held out: a version is never judged on what it was trained on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from llmops.errors import DataError, StoreError, UsageError
from llmops.files import jsonl
from llmops.records import ModelFiles, Suite
from llmops.store import artifacts
from llmops.store.tags import TEST_SPLIT, TRAIN_SPLIT

SHOWN = 3


def test_file(side: ModelFiles, folder: Path) -> Path:
    """The test split that was written down when a version was trained.

    Today's data may split differently: rows were added, or Python's library changed.

    Raises:
        UsageError: The version's training run did not keep one.
    """
    try:
        if side.run_id is not None:
            return Path(artifacts.download(f"runs:/{side.run_id}/{TEST_SPLIT}", str(folder)))
    except (StoreError, OSError):
        pass  # said below, with what to do
    raise UsageError(
        f"{side.uri}: its training run keeps no test split",
        next_command=f"llmops gate RECIPE --candidate {side.uri} --suite FILE",
    )


def refuse_contaminated(side: ModelFiles, suite: Suite) -> None:
    """Refuses a suite that holds prompts the version was trained on.

    Raises:
        DataError: Prompts of the suite are in the training data.
    """
    if side.run_id is None:
        return
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        try:
            path = artifacts.download(f"runs:/{side.run_id}/{TRAIN_SPLIT}", folder)
        except (StoreError, OSError):
            return  # not trained by us: there is nothing to compare with
        trained = {str(row["prompt"]).strip() for row in jsonl.read(Path(path))}
    seen = [e.id for e in suite.examples if e.messages[-1]["content"].strip() in trained]
    if seen:
        raise DataError(
            f"suite {suite.path or suite.name}: {len(seen)} of {len(suite.examples)} prompts are in the training data"
            f" of {side.uri}, such as {', '.join(map(repr, seen[:SHOWN]))}",
            next_command=f"remove them, or leave --suite out: {side.uri} has a test split of its own",
        )
