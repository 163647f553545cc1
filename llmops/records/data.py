"""What the data stage makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSplit:
    """One file of examples: JSON lines with ``id``, ``prompt``, ``completion``, ``group``."""

    name: str
    path: Path
    digest: str
    rows: int


@dataclass(frozen=True)
class PreparedData:
    """Three splits that share no group, written to files."""

    name: str
    source: str
    train: DataSplit
    validation: DataSplit
    test: DataSplit
    digest: str

    @property
    def splits(self) -> tuple[DataSplit, DataSplit, DataSplit]:
        """The splits in the order train, validation, test."""
        return (self.train, self.validation, self.test)
