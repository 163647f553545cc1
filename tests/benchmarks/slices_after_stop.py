"""A slice of a comparison that may stop early, as the product computes it, on simulated scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmops.compare.slices import slice_results
from llmops.compare.stopping import Plan, ask_until_decided
from llmops.recipe.schema import Requirement
from llmops.records import Answer, Example, Row, SliceResult

PROMPTS, BLOCK, METRIC, SAID = 1_000, 32, "exact", Answer("yes", 1, 1, "stop")
DISCORDANCE = 0.3
"""Share of prompts on which one side wins."""
QUESTION = Requirement(metric=METRIC, must="improve")
TAGS = ("first", "second")
EXAMPLES = [
    Example(f"q{i}", ({"role": "user", "content": "?"},), "yes", f"q{i}", {"part": TAGS[i % 2]})
    for i in range(PROMPTS)
]


def suite(rng: np.random.Generator, gains: tuple[float, float]) -> list[Row]:
    """Rows of two slices whose mean differences are ``gains``."""
    drawn, right = rng.random(PROMPTS), rng.random(PROMPTS) < 0.5
    found = []
    for i, example in enumerate(EXAMPLES):
        gain = gains[i % 2]
        wins, differs = drawn[i] < (DISCORDANCE + gain) / 2, drawn[i] < DISCORDANCE
        before = float(not wins) if differs else float(right[i])
        after = float(wins) if differs else float(right[i])
        found.append(Row(example, SAID, SAID, {METRIC: before}, {METRIC: after}))
    return found


def second_slice(
    seed: int, method: str, gains: tuple[float, float], *, corrected: bool
) -> tuple[SliceResult, bool]:
    """Result of the second slice, and whether the comparison stopped early."""
    rows = suite(np.random.default_rng((seed, 3)), gains)
    plan = Plan(method, BLOCK, 0.95, (QUESTION,), min_prompts=2 * BLOCK, seed=seed)  # type: ignore[arg-type]

    def ask(indices: Sequence[int]) -> list[list[Row]]:
        return [[rows[i] for i in indices]]

    (result,) = ask_until_decided(ask, EXAMPLES, [METRIC], plan)
    stopped = len(result.rows) < PROMPTS
    looks = -(-PROMPTS // BLOCK) if stopped and corrected else 1
    found = slice_results(result.rows, METRIC, looks=looks).tested
    (second,) = (one for one in found if one.value == TAGS[1])
    return second, stopped


def slices_after_stop(
    seeds: range, *, method: str, gains: tuple[float, float], corrected: bool = True
) -> tuple[int, int, int]:
    """Numbers of intervals of the second slice: all, those below the truth, those above it."""
    below = above = 0
    for seed in seeds:
        found, _ = second_slice(seed, method, gains, corrected=corrected)
        below += found.high < gains[1]
        above += found.low > gains[1]
    return len(seeds), below, above
