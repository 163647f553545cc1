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


class Scores(NamedTuple):
    """Of n prompts: candidate minus baseline, and the candidate's own; baseline and candidate in [0, 1]."""

    differences: np.ndarray
    candidate: np.ndarray


Draw = Callable[[np.random.Generator, int, float], Scores]


def ternary(rng: np.random.Generator, n: int, mean: float, q: float = DISCORDANCE) -> Scores:
    """Wins, ties and losses of independent prompts; half of the ties are right on both sides."""
    uniform = rng.random(n)
    differences = np.where(uniform < (q + mean) / 2, 1.0, np.where(uniform < q, -1.0, 0.0))
    return Scores(
        differences, np.where(differences == 0, rng.random(n) < 0.5, differences > 0) * 1.0
    )


def losses(rng: np.random.Generator, n: int, mean: float) -> Scores:
    """The sides differ where the candidate fails, and hardly anywhere else."""
    return ternary(rng, n, mean, abs(mean) + 0.01)


def continuous(rng: np.random.Generator, n: int, mean: float) -> Scores:
    """Scores such as token F1: two beta variables, sd 0.28 before the shift."""
    before, after = ((1 - abs(mean)) * rng.beta(2, 3, n) for _ in range(2))
    return _scores(before + max(0.0, -mean), after + max(0.0, mean))


def bad(rng: np.random.Generator, n: int, mean: float) -> Scores:
    """Small changes, and rarely a much worse answer, which alone make the mean."""
    before = rng.uniform(0.55, 0.98, n)
    lost = before * rng.beta(8, 1, n)
    failed = rng.random(n) < abs(mean) / (0.765 * 8 / 9)
    return _scores(before, before + np.where(failed, -lost, rng.uniform(-0.02, 0.02, n)))


def stakes(rng: np.random.Generator, n: int, mean: float) -> Scores:
    """Half of the prompts have nothing to lose, and of the others a few lose all."""
    before = np.where(rng.random(n) < 0.5, 0.99, 0.0)
    return _scores(before, np.where(rng.random(n) < 2 * abs(mean) / 0.99, 0.0, before))


def clustered(rng: np.random.Generator, n: int, mean: float) -> Scores:
    """Half of the prompts repeat the outcome of their cluster of 1 to 9."""
    cluster = ternary(rng, SIZES.size, mean)
    own, repeats = ternary(rng, n, mean), rng.random(n) < 0.5
    return Scores(
        *(
            np.where(repeats, np.repeat(shared, SIZES)[:n], alone)
            for shared, alone in zip(cluster, own, strict=True)
        )
    )


def together(rng: np.random.Generator, n: int, mean: float) -> Scores:
    """Small changes, and rarely a cluster that fails as a whole."""
    failed = np.repeat(rng.random(SIZES.size) < abs(mean) / 0.8, SIZES)[:n]
    before = rng.uniform(0.82, 0.98, n)
    return _scores(before, before + np.where(failed, -0.8, rng.uniform(-0.02, 0.02, n)))


def _scores(before: np.ndarray, after: np.ndarray) -> Scores:
    return Scores(after - before, after)


KINDS: dict[str, tuple[str, Draw]] = {
    "ternary": ("wins, ties, losses", ternary),
    "losses": ("losses alone (few wins)", losses),
    "continuous": ("continuous scores", continuous),
    "bad": ("rare bad answers", bad),
    "stakes": ("failures where most is at stake", stakes),
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


def _draw(cell: Cell, seed: int) -> Scores:
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


def _sequential(cell: Cell, scores: Scores, seed: int) -> tuple[bool, bool, bool, int]:
    largest = int(SIZES.max()) if cell.kind in ("clustered", "together") else 1
    test = SequentialTest(
        cell.must, cell.margin, cap=cell.cap, method=cell.method, alpha=ALPHA,
        largest_cluster=largest, seed=seed,
    )  # fmt: skip
    for part, names in _blocks(cell):
        if test.update(scores.differences[part], names, scores.candidate[part]):
            break
    verdict = test.verdict
    return (
        bool(test.passed), verdict is Verdict.IMPROVED, verdict is Verdict.REGRESSED, test.n
    )  # fmt: skip


def _peek(cell: Cell, scores: Scores, seed: int) -> tuple[bool, bool, bool, int]:
    """What people do without sequential tests: an exact test now and then, until one succeeds."""
    wins, losses = ((sign * scores.differences > 0).cumsum() for sign in (1, -1))
    for n in range(BLOCK, cell.cap + 1, BLOCK):
        for alternative in ("greater", "less"):
            if mcnemar(int(wins[n - 1]), int(losses[n - 1]), alternative=alternative) <= ALPHA:
                better = alternative == "greater"
                return better, better, not better, n
    return False, False, False, cell.cap


def _t_interval(cell: Cell, scores: Scores, seed: int) -> tuple[bool, bool, bool, int]:
    names = NAMES[: cell.cap].tolist() if cell.kind in ("clustered", "together") else None
    before = np.clip(scores.candidate - scores.differences, 0, 1)
    low = paired_test(before, scores.candidate, names, confidence=1 - 2 * ALPHA).low
    return low > -cell.margin, low > 0, False, cell.cap
