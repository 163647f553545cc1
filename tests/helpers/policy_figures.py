"""Comparisons with rows, and policies, for the parts of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from report_records import comparison, metric, side

from llmops.recipe.schema import Gate
from llmops.records import Answer, Comparison, Example, Row

NAMES = ("token_f1", "one_line")
NO_LOSS = {"metric": "token_f1", "must": "not_regress", "margin": 0.05}
FLOOR = {"metric": "one_line", "must": "at_least", "value": 0.8}
BILLING = {**NO_LOSS, "slice": {"topic": "billing"}, "margin": 0.1}


def policy(*require: dict[str, object], **keys: object) -> Gate:
    return Gate.model_validate({"require": list(require or (NO_LOSS,)), "min_prompts": 50, **keys})


def compared(
    scores: Sequence[tuple[float, float]],
    *,
    topics: Sequence[str] = ("other",),
    low: float = -0.01,
    available: int | None = None,
    **changes: object,
) -> Comparison:
    """A comparison with a row for each pair of scores; the first metric's interval begins at low."""
    rows = tuple(
        Row(
            example=Example(
                id=f"q{i}",
                messages=({"role": "user", "content": "Q"},),
                expected="A",
                cluster=f"c{i}",
                slices={"topic": topics[i % len(topics)]},
            ),
            baseline=Answer("a", 10, 5, "stop", seconds=0.5),
            candidate=Answer("b", 20, 5, "stop", seconds=1.5),
            baseline_scores=dict.fromkeys(NAMES, before),
            candidate_scores=dict.fromkeys(NAMES, after),
        )
        for i, (before, after) in enumerate(scores)
    )
    n = len(rows)
    metrics = [
        replace(
            metric(name, low, low + 0.05, low + 0.1, n=n, clusters=n, confidence=0.95),
            baseline=0.5,
            candidate=0.52,
        )
        for name in NAMES
    ]
    return comparison(
        metrics,
        rows,
        candidate=replace(side("v3"), adapter_digest="12" * 32),
        available=n if available is None else available,
        **changes,
    )
