"""What a comparison shows of itself in Python; ``llmops.records`` calls it by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmops.errors import UsageError
from llmops.files import home
from llmops.records import Comparison
from llmops.report.html.page import first_screen, html_report

if TYPE_CHECKING:
    import pandas as pd


def frame(comparison: Comparison) -> pd.DataFrame:
    """Return one row for each prompt that was asked, in their order; see ``Comparison.to_df``."""
    import pandas as pd

    rows = comparison.rows
    columns: dict[str, list[object]] = {
        "id": [row.example.id for row in rows],
        "prompt": [row.example.messages[-1]["content"] for row in rows],
        "expected": [row.example.expected for row in rows],
        "baseline": [row.baseline.text for row in rows],
        "candidate": [row.candidate.text for row in rows],
    }
    for result in comparison.metrics:
        name = result.metric
        columns[f"{name} baseline"] = [row.baseline_scores[name] for row in rows]
        columns[f"{name} candidate"] = [row.candidate_scores[name] for row in rows]
        columns[f"{name} difference"] = [
            row.candidate_scores[name] - row.baseline_scores[name] for row in rows
        ]
    for key in dict.fromkeys(key for row in rows for key in row.example.slices):
        columns[f"slice.{key}"] = [row.example.slices.get(key) for row in rows]
    return pd.DataFrame(columns)


def save(comparison: Comparison, path: str | Path) -> Path:
    """Write the report to a file and return its absolute path; see ``Comparison.report``."""
    place = Path(path).expanduser().resolve()
    if place.is_dir() or not place.parent.is_dir():
        what = "is a folder" if place.is_dir() else "its folder does not exist"
        raise UsageError(f"report {path}: {what}", next_command='.report("report.html")')
    try:
        home.write_whole(place, html_report(comparison), shared=True)
    except OSError as error:
        raise UsageError(f"report {path}: cannot be written: {error.strerror}") from error
    return place


def notebook(comparison: Comparison) -> str:
    """Return the report's first screen as HTML."""
    return first_screen(comparison)
