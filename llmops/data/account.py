"""What became of the rows, as lines for a person: no row is dropped silently."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.records import DataSummary, PreparedData

SHOWN = 3
"""Maximum number of names that a line lists."""
COLUMNS = 20
"""Maximum number of columns that a line lists."""
FEW = 0.9
"""Groups for each example up to which they are worth a line."""


def account(data: PreparedData) -> list[str]:
    """Return what a person should know about the splits, a line each.

    Args:
        data: The prepared splits.

    Example:
        from pathlib import Path

        from llmops.data import account, prepare
        from llmops.recipe import load_recipe

        recipe = load_recipe(Path("recipes/quickstart/recipe.yaml"))
        data = prepare(recipe.data, Path("splits"), name=recipe.name, seed=recipe.seed)
        for line in account(data):
            print(line)
    """
    summary = data.summary
    return [
        line
        for line in (
            *_labels(summary),
            _groups(summary),
            _duplicates(summary),
            _leaked(summary),
            _unread(summary),
        )
        if line
    ]


def _labels(summary: DataSummary) -> list[str]:
    if summary.labels is None:
        return []
    if not summary.unseen:
        return [
            f"{summary.labels:,} labels; every label of the test split is in the training split"
        ]
    missing = f"{len(summary.unseen):,} labels of the test split have no training example"
    return [f"{summary.labels:,} labels; {missing}: {_listed(summary.unseen)}"]


def _groups(summary: DataSummary) -> str:
    few = summary.groups is not None and summary.groups <= FEW * summary.read
    return f"{summary.groups:,} groups, each in one split" if few else ""


def _duplicates(summary: DataSummary) -> str:
    if not summary.duplicates:
        return ""
    line = f"dropped {summary.duplicates:,} of {summary.read:,} examples whose prompt occurs before"
    if not summary.contradictions:
        return line
    other = len(summary.contradictions)
    return f"{line}; {other:,} of them with another answer: {_listed(summary.contradictions)}"


def _leaked(summary: DataSummary) -> str:
    if not summary.leaked:
        return ""
    return (
        f"dropped {len(summary.leaked):,} examples whose prompt is in the test file:"
        f" {_listed(summary.leaked)}"
    )


def _unread(summary: DataSummary) -> str:
    return f"not read: {_listed(summary.unread, COLUMNS)}" if summary.unread else ""


def _listed(names: Sequence[str], shown: int = SHOWN) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest:,} more" if rest > 0 else "")
