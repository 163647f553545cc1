"""A recipe's ``expected.json``: the figures of its authors, and whether this run keeps to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from llmops.progress import say
from llmops.recipe.schema import Recipe
from llmops.records import Comparison

EXPECTED_FILE = "expected.json"
AGAINST_BASE = ("nll_drop", "f1_gain")
"""Figures that are defined only against the bare base as baseline."""


def tolerances(path: Path, recipe: Recipe) -> Mapping[str, float]:
    """Return the bounds that were measured with this seed, data, training and comparison.

    Args:
        path: The recipe's file; ``expected.json`` is in the same folder.
        recipe: The recipe as it will run, overrides included.

    Returns:
        Name of a bound, such as ``f1_gain_at_least``, → its value. Empty if there are none, or if
        any of these differs.
    """
    beside = path.parent / EXPECTED_FILE
    if not beside.is_file():
        return {}
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
        bounds = {str(name): float(bound) for name, bound in content["tolerances"].items()}
        return bounds if content["figures_digest"] == recipe.figures_digest() else {}
    except (ValueError, TypeError, KeyError, AttributeError):
        say(f"warning: {beside}: not readable; the run is not compared with expected figures")
        return {}


def report(comparison: Comparison, bounds: Mapping[str, float]) -> list[str]:
    """Return one line for each bound that applies: figure, bound, kept or missed."""
    figures = _figures(comparison)
    lines = []
    for name, bound in bounds.items():
        figure, _, direction = name.rpartition("_at_")
        if figure in figures:
            value = figures[figure]
            kept = value >= bound if direction == "least" else value <= bound
            sign = ">=" if direction == "least" else "<="
            lines.append(
                f"{figure} {value:.3f} ({sign} {bound:.3f} {'kept' if kept else 'MISSED'})"
            )
    return lines


def _figures(comparison: Comparison) -> dict[str, float]:
    names = {result.metric for result in comparison.metrics}
    figures = {}
    if comparison.nll is not None:
        before, after = comparison.nll
        figures = {"nll_tuned": after, "nll_drop": before - after}
    if "token_f1" in names:
        result = comparison.metric("token_f1")
        figures |= {"f1_tuned": result.candidate, "f1_gain": result.candidate - result.baseline}
    if "one_line" in names:
        figures["one_line"] = comparison.metric("one_line").candidate
    if comparison.baseline.adapter_digest is not None:
        return {name: value for name, value in figures.items() if name not in AGAINST_BASE}
    return figures
