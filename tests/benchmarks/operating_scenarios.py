"""The simulated suites of ``operating_characteristics.py``, and one comparison played on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from llmops.records import Verdict
from llmops.stats import SequentialTest, paired_test
from llmops.stats.exact import mcnemar

METHODS = ("hybrid", "fixed", "obf", "anytime")
ALPHA, CAP, BLOCK, MARGIN, DISCORDANCE = 0.05, 1_000, 25, 0.05, 0.3
EFFECTS = (0.0, 0.05, 0.08, 0.12)
SMALL = 200
"""Prompts of a small suite, where approximations fail first."""
SIZES = np.random.default_rng(0).integers(1, 10, 400)
"""Of the clusters: the suite is the same in every simulation, the answers are not."""
PEEKING = "a plain test after every block"
T_INTERVAL = "t interval"
Draw = Callable[[np.random.Generator, int, float], np.ndarray]


def ternary(rng: np.random.Generator, n: int, mean: float, q: float = DISCORDANCE) -> np.ndarray:
    """Wins, ties and losses of independent prompts."""
    uniform = rng.random(n)
    return np.where(uniform < (q + mean) / 2, 1.0, np.where(uniform < q, -1.0, 0.0))


def losses(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """The sides differ where the candidate fails, and hardly anywhere else."""
    return ternary(rng, n, mean, abs(mean) + 0.01)


def continuous(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Scores such as token F1: two beta variables, sd 0.28 before the shift."""
    return mean + (1 - abs(mean)) * (rng.beta(2, 3, n) - rng.beta(2, 3, n))


def bad(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Small changes, and rarely a much worse answer, which alone make the mean."""
    failed = rng.random(n) < abs(mean) * 1.5
    return np.clip(rng.uniform(-0.02, 0.02, n) - failed * rng.beta(2, 1, n), -1, 1)


def clustered(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Half of the prompts repeat the outcome of their cluster of 1 to 9."""
    cluster = np.repeat(ternary(rng, SIZES.size, mean), SIZES)[:n]
    return np.where(rng.random(n) < 0.5, cluster, ternary(rng, n, mean))


def together(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Small changes, and rarely a cluster that fails as a whole."""
    failed = np.repeat(rng.random(SIZES.size) < abs(mean) / 0.8, SIZES)[:n]
    return rng.uniform(-0.02, 0.02, n) - 0.8 * failed


KINDS: dict[str, tuple[str, Draw]] = {
    "ternary": ("wins, ties, losses", ternary),
    "losses": ("losses alone (few wins)", losses),
    "continuous": ("continuous scores", continuous),
    "bad": ("rare bad answers", bad),
    "clustered": ("clusters of 1 to 9", clustered),
    "together": ("clusters that fail together", together),
}
NAMES = np.repeat([f"c{i}" for i in range(SIZES.size)], SIZES)


@dataclass(frozen=True)
class Cell:
    """One figure to measure."""

    method: str
    kind: str
    mean: float
    must: str = "improve"
    margin: float = 0.0
    cap: int = CAP
    q: float | None = None


class Outcome(NamedTuple):
    """Counts over simulations, and the prompts used in all."""

    runs: int
    passed: int
    improved: int
    regressed: int
    prompts: int

    def share(self, event: str) -> float:
        return float(getattr(self, event)) / self.runs

    def upper(self, event: str) -> float:
        """Upper end of the one-sided 95% Clopper-Pearson interval."""
        count = getattr(self, event)
        return (
            1.0 if count == self.runs else float(stats.beta.ppf(0.95, count + 1, self.runs - count))
        )


def simulate(cell: Cell, seeds: range) -> Outcome:
    """Plays some simulations of a cell."""
    play = {PEEKING: _peek, T_INTERVAL: _t_interval}.get(cell.method, _sequential)
    results = [play(cell, _draw(cell, seed), seed) for seed in seeds]
    return Outcome(len(results), *(int(sum(column)) for column in zip(*results, strict=True)))


def _draw(cell: Cell, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, len(cell.kind), cell.cap])
    if cell.q is not None:
        return ternary(rng, cell.cap, cell.mean, cell.q)
    return KINDS[cell.kind][1](rng, cell.cap, cell.mean)


def _blocks(cell: Cell) -> Iterable[tuple[slice, list[str] | None]]:
    """Blocks of prompts; clusters stay whole."""
    if cell.kind not in ("clustered", "together"):
        yield from ((slice(i, i + BLOCK), None) for i in range(0, cell.cap, BLOCK))
        return
    ends, start = np.minimum(np.cumsum(SIZES), cell.cap), 0
    for end in ends:
        if end - start >= BLOCK or end == cell.cap:
            yield slice(start, end), NAMES[start:end].tolist()
            start = int(end)
        if end == cell.cap:
            return


def _sequential(cell: Cell, values: np.ndarray, seed: int) -> tuple[bool, bool, bool, int]:
    largest = int(SIZES.max()) if cell.kind in ("clustered", "together") else 1
    test = SequentialTest(
        cell.must, cell.margin, cap=cell.cap, method=cell.method, alpha=ALPHA,
        largest_cluster=largest, seed=seed,
    )  # fmt: skip
    for part, names in _blocks(cell):
        if test.update(values[part], names):
            break
    verdict = test.verdict
    return (
        bool(test.passed), verdict is Verdict.IMPROVED, verdict is Verdict.REGRESSED, test.n
    )  # fmt: skip


def _peek(cell: Cell, values: np.ndarray, seed: int) -> tuple[bool, bool, bool, int]:
    """What people do without sequential tests: an exact test now and then, until one succeeds."""
    wins, losses = (values > 0).cumsum(), (values < 0).cumsum()
    for n in range(BLOCK, cell.cap + 1, BLOCK):
        for alternative in ("greater", "less"):
            if mcnemar(int(wins[n - 1]), int(losses[n - 1]), alternative=alternative) <= ALPHA:
                better = alternative == "greater"
                return better, better, not better, n
    return False, False, False, cell.cap


def _t_interval(cell: Cell, values: np.ndarray, seed: int) -> tuple[bool, bool, bool, int]:
    names = NAMES[: cell.cap].tolist() if cell.kind in ("clustered", "together") else None
    low = paired_test(
        np.maximum(0, -values), np.maximum(0, values), names, confidence=1 - 2 * ALPHA
    ).low
    return low > -cell.margin, low > 0, False, cell.cap
