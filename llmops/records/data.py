"""Results of the stage ``data``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSplit:
    """One file of examples: JSON lines with ``id``, ``prompt`` or ``messages``, ``completion``, ``group``.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        path: The file.
        digest: SHA-256 of the file's bytes.
        rows: Number of examples.
    """

    name: str
    path: Path
    digest: str
    rows: int


@dataclass(frozen=True)
class DataSummary:
    """What became of the rows of a file.

    Attributes:
        read: Number of examples in the file, that of an own test file included.
        duplicates: Number of examples that were dropped because an earlier one has the same prompt.
        contradictions: Those of them with another answer, by id.
        leaked: Examples that were dropped because their prompt is in the own test file, by id.
        unread: Columns that nothing reads.
        labels: Number of distinct answers, if many rows share each of them; ``None`` for free text.
        unseen: Labels of the test split that no training example has.
        groups: Number of groups that stay in one split; ``None`` if every row is one.
    """

    read: int
    duplicates: int = 0
    contradictions: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    labels: int | None = None
    unseen: tuple[str, ...] = ()
    groups: int | None = None


@dataclass(frozen=True)
class PreparedData:
    """Three splits that share no group, written to files.

    Attributes:
        name: Name of the dataset.
        source: Where the examples came from, such as a path.
        train: Examples to train on.
        validation: Examples for the validation loss.
        test: Held-out examples, the suite of a comparison.
        digest: SHA-256 of the three splits together.
        summary: What became of the rows.
    """

    name: str
    source: str
    train: DataSplit
    validation: DataSplit
    test: DataSplit
    digest: str
    summary: DataSummary

    @property
    def splits(self) -> tuple[DataSplit, DataSplit, DataSplit]:
        """Splits in the order train, validation, test."""
        return (self.train, self.validation, self.test)
