"""The tables of scorers, between the marks of a page that is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from generator.recipe import markdown
from llmops.recipe.built_in_scorers import BUILT_IN, BuiltIn


def page(written: str) -> str:
    """Return the page on scorers with its tables as the code has them.

    Raises:
        LookupError: The page has no place for a table.
    """
    tables = {
        "scorers": [scorer for scorer in BUILT_IN if not scorer.argument],
        "scorers with an argument": [scorer for scorer in BUILT_IN if scorer.argument],
    }
    for name, scorers in tables.items():
        begin, end = f"<!-- begin: {name} (`make docs`) -->\n", f"<!-- end: {name} -->\n"
        before, found, rest = written.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise LookupError(f"docs/reference/metrics.md: no {begin.strip()} … {end.strip()}")
        written = f"{before}{begin}\n{_scorer_table(scorers)}\n{end}{after}"
    return written


def _scorer_table(scorers: Sequence[BuiltIn]) -> str:
    head = "| Name | What it measures | Expected answer | Scores | Cost |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{scorer.form}` | {markdown(scorer.meaning)} | {scorer.expected} "
        f"| {_values(scorer.values)} | {scorer.cost} |\n"
        for scorer in scorers
    )


def _values(values: tuple[float, ...]) -> str:
    """Return the scores in words: ``0, 0.5 or 1``."""
    if not values:
        return "0 to 1"
    *firsts, last = (f"{value:g}" for value in values)
    return f"{', '.join(firsts)} or {last}"
