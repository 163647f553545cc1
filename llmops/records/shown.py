"""What a comparison shows of itself in Python, such as in a notebook."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class Shown:
    """The methods by which a record shows itself; ``llmops.report.python`` does the work."""

    def to_df(self) -> pd.DataFrame:
        """Return one row for each prompt that was asked.

        Returns:
            Columns ``id``, ``prompt``, ``expected``, ``baseline`` and ``candidate`` (the answers);
            for each metric ``METRIC baseline``, ``METRIC candidate`` and ``METRIC difference``; and
            ``slice.NAME``.
        """
        frame: pd.DataFrame = _shown("frame", self)
        return frame

    def report(self, path: str | Path) -> Path:
        """Write the HTML report to a file.

        Args:
            path: The file; an existing one is replaced.

        Returns:
            Its absolute path.

        Raises:
            UsageError: The file cannot be written.
        """
        place: Path = _shown("save", self, path)
        return place

    def _repr_html_(self) -> str:
        """Return the report's first screen, which a notebook shows for a last line."""
        page: str = _shown("notebook", self)
        return page


def _shown(name: str, *given: object) -> Any:
    """Call a function of the report, a layer above: records know it by name only, on first use."""
    return getattr(import_module("llmops.report.python"), name)(*given)
