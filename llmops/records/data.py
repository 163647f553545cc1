"""Results of the stage ``data``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSplit:
    """One file of examples: JSON lines with ``id``, ``prompt``, ``completion``, ``group``.

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
class PreparedData:
    """Three splits that share no group, written to files.

    Attributes:
        name: Name of the dataset.
        source: Where the examples came from, such as a path.
        train: Examples to train on.
        validation: Examples for the validation loss.
        test: Held-out examples, the suite of a comparison.
        digest: SHA-256 of the three splits together.
    """

    name: str
    source: str
    train: DataSplit
    validation: DataSplit
    test: DataSplit
    digest: str

    @property
    def splits(self) -> tuple[DataSplit, DataSplit, DataSplit]:
        """Splits in the order train, validation, test."""
        return (self.train, self.validation, self.test)
