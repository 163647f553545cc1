"""A version and the prompts to judge it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmops.compare import load_suite
from llmops.compare.leakage.heldout import download_test_split
from llmops.files.staging import staging
from llmops.models.resolve import resolve
from llmops.records import ModelFiles, Suite


@contextmanager
def held_out(
    uri: str, suite: Path | str | None, experiment: str
) -> Iterator[tuple[ModelFiles, Suite]]:
    """Resolve a version, and load the suite; without one, the test split of its training run.

    Args:
        uri: The version.
        suite: File with the held-out prompts.
        experiment: Name of the experiment, after which a test split is named.

    Yields:
        The version's files and the prompts.

    Raises:
        LlmopsError: The version or the suite does not exist or cannot be used.
    """
    prompts = load_suite(suite) if suite else None  # a wrong path is found before any download
    with staging() as folder:
        files = resolve(uri)
        if prompts is None:
            prompts = load_suite(download_test_split(files, folder), name=f"{experiment}-test")
        yield files, prompts
