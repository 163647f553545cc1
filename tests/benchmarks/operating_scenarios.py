"""The simulated suites of ``operating_characteristics.py``, and one comparison played on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from llmops.records import Verdict
from llmops.stats import SequentialTest, blocks, paired_test, spread_blocks
from llmops.stats.exact import mcnemar
from llmops.stats.result import E_SHARES

METHODS = ("spend", "hybrid", "fixed", "obf", "anytime")
ALPHA, CAP, BLOCK, MARGIN, DISCORDANCE = 0.025, 1_000, 32, 0.05, 0.3
EFFECTS = (0.0, 0.05, 0.08, 0.12)
SMALL = 200
"""Prompts of a small suite, where approximations fail first."""
PEEKING = "a plain test after every block"
T_INTERVAL = "t interval"


def _unequal(clusters: int, prompts: int, sigma: float) -> np.ndarray:
    """Log-normal cluster sizes with about this sum."""
    drawn = np.random.default_rng(0).lognormal(0, sigma, clusters)
    return np.maximum(1, np.round(drawn / drawn.sum() * prompts)).astype(int)


SIZES = np.random.default_rng(0).integers(1, 10, 400)
"""Of the clusters: the suite is the same in every simulation, the answers are not."""
SUITES: dict[str, np.ndarray] = {
    "clusters of 1 to 9": SIZES,
    "100 clusters of 4": np.full(100, 4),
    "99 clusters of 4": np.full(99, 4),
    "30 clusters of 4": np.full(30, 4),
    "150 unequal clusters": np.random.default_rng(5).integers(1, 8, 150),
    "227 unequal clusters": _unequal(227, 2_000, 0.8),
    "28 unequal clusters": _unequal(28, 117, 1.0),
    "10 unequal clusters": _unequal(10, 60, 0.8),
    "6 unequal clusters": _unequal(6, 60, 0.8),
    "one cluster of 40, 360 prompts": np.r_[40, np.ones(360, int)],
}


class Scores(NamedTuple):
    """Of n prompts: candidate minus baseline, and the candidate's own; baseline and candidate in [0, 1]."""

    differences: np.ndarray
    candidate: np.ndarray


Draw = Callable[[np.random.Generator, np.ndarray, float], Scores]
"""Random generator, cluster sizes (all 1 without clusters) and true mean → scores."""


def ternary(
    rng: np.random.Generator, sizes: np.ndarray, mean: float, q: float = DISCORDANCE
) -> Scores:
    """Wins, ties and losses; in clusters half of the prompts repeat the outcome of their cluster."""
    differences = _outcomes(rng, int(sizes.sum()), mean, q)
    if sizes.max() > 1:
        shared = np.repeat(_outcomes(rng, sizes.size, mean, q), sizes)
        differences = np.where(rng.random(differences.size) < 0.5, shared, differences)
    right = rng.random(differences.size) < 0.5  # half of the ties are right on both sides
    return Scores(differences, np.where(differences == 0, right, differences > 0) * 1.0)


def _outcomes(rng: np.random.Generator, n: int, mean: float, q: float) -> np.ndarray:
    uniform = rng.random(n)
    return np.where(uniform < (q + mean) / 2, 1.0, np.where(uniform < q, -1.0, 0.0))


def losses(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """The sides differ where the candidate fails, and hardly anywhere else."""
    return ternary(rng, sizes, mean, abs(mean) + 0.01)


def continuous(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """Scores such as token F1: two beta variables, sd 0.28 before the shift."""
    before, after = ((1 - abs(mean)) * rng.beta(2, 3, int(sizes.sum())) for _ in range(2))
    return _scores(before + max(0.0, -mean), after + max(0.0, mean))


def shifted(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """Low scores such as token F1 of a small model: sd 0.16, a third of it shared by a cluster."""
    n, sd = int(sizes.sum()), 0.16
    share = 0.3 if sizes.max() > 1 else 0.0
    noise = np.repeat(rng.normal(0, sd * share**0.5, sizes.size), sizes)
    noise += rng.normal(0, sd * (1 - share) ** 0.5, n)
    before = 0.2 + 0.3 * rng.beta(2, 2, n)
    return _scores(before, np.clip(before + mean + noise, 0, 1))


def bad(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """Small changes, and rarely a much worse answer, which alone make the mean."""
    n = int(sizes.sum())
    before = rng.uniform(0.55, 0.98, n)
    lost = before * rng.beta(8, 1, n)
    failed = rng.random(n) < abs(mean) / (0.765 * 8 / 9)
    return _scores(before, before + np.where(failed, -lost, rng.uniform(-0.02, 0.02, n)))


def stakes(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """Half of the prompts have nothing to lose, and of the others a few lose all."""
    n = int(sizes.sum())
    before = np.where(rng.random(n) < 0.5, 0.99, 0.0)
    return _scores(before, np.where(rng.random(n) < 2 * abs(mean) / 0.99, 0.0, before))


def together(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """Small changes, and rarely a cluster that fails as a whole."""
    failed = np.repeat(rng.random(sizes.size) < abs(mean) / 0.8, sizes)
    before = rng.uniform(0.82, 0.98, failed.size)
    return _scores(before, before + np.where(failed, -0.8, rng.uniform(-0.02, 0.02, failed.size)))


def rare(rng: np.random.Generator, sizes: np.ndarray, mean: float, rate: float = 0.05) -> Scores:
    """One cluster in twenty loses 0.8, all others gain a little; together they have the mean."""
    failed = np.repeat(rng.random(sizes.size) < rate, sizes)
    before = rng.uniform(0.82, 0.9, failed.size)
    gain = (mean + 0.8 * rate) / (1 - rate) + rng.uniform(-0.01, 0.01, failed.size)
    return _scores(before, before + np.where(failed, -0.8, gain))


def rare_gains(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """``rare`` with the sides swapped."""
    turned = rare(rng, sizes, -mean)
    return Scores(-turned.differences, turned.candidate - turned.differences)


def by_size(rng: np.random.Generator, sizes: np.ndarray, mean: float) -> Scores:
    """Small clusters gain 0.1, and large ones lose as much in all."""
    large = sizes > np.median(sizes)
    share = sizes[large].sum() / sizes.sum()
    effect = np.where(large, -0.1 * (1 - share) / share, 0.1) + rng.normal(0, 0.08, sizes.size)
    n = int(sizes.sum())
    return _scores(np.full(n, 0.5), 0.5 + mean + np.repeat(effect, sizes) + rng.normal(0, 0.1, n))


def _scores(before: np.ndarray, after: np.ndarray) -> Scores:
    after = np.clip(after, 0, 1)
    return Scores(after - before, after)


KINDS: dict[str, tuple[str, Draw]] = {
    "ternary": ("wins, ties, losses", ternary),
    "losses": ("losses alone (few wins)", losses),
    "continuous": ("continuous scores", continuous),
    "shifted": ("low continuous scores", shifted),
    "bad": ("rare bad answers", bad),
    "stakes": ("failures where most is at stake", stakes),
    "together": ("clusters that fail together", together),
    "rare": ("rare failures, other prompts gain", rare),
    "rare_gains": ("rare gains, other prompts lose", rare_gains),
    "by_size": ("effects that depend on the size", by_size),
}


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
    suite: str = ""

    @property
    def sizes(self) -> np.ndarray:
        """Cluster sizes of the suite; 1 for each of ``cap`` prompts without one."""
        return SUITES[self.suite] if self.suite else np.ones(self.cap, int)

    @property
    def margin_to_exceed(self) -> float:
        return self.margin if self.must == "improve" else -self.margin

    @property
    def title(self) -> str:
        prompts = f"{int(self.sizes.sum()):,} prompts"
        where = f"{self.suite}, {prompts}" if self.suite else prompts
        return f"{KINDS[self.kind][0]}; {where}"


class Outcome(NamedTuple):
    """Counts over simulations, and the prompts used in all."""

    runs: int
    passed: int
    failed: int
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
        return ternary(rng, cell.sizes, cell.mean, cell.q)
    return KINDS[cell.kind][1](rng, cell.sizes, cell.mean)


def _names(cell: Cell) -> list[str] | None:
    if not cell.suite:
        return None
    return np.repeat([f"c{i}" for i in range(cell.sizes.size)], cell.sizes).tolist()


def _sequential(cell: Cell, scores: Scores, seed: int) -> tuple[bool, bool, bool, bool, int]:
    names, n = _names(cell), scores.differences.size
    test = SequentialTest(
        cell.must, cell.margin, cap=n, method=cell.method, alpha=ALPHA,
        largest_cluster=int(cell.sizes.max()), seed=seed,
    )  # fmt: skip
    cut = blocks if cell.method in E_SHARES else spread_blocks
    for part in [np.arange(n)] if cell.method == "fixed" else cut(n, BLOCK, seed, names):
        own = None if names is None else [names[i] for i in part]
        if test.update(scores.differences[part], own, scores.candidate[part]):
            break
    verdict, passed = test.verdict, test.passed
    return (
        passed is True, passed is False,
        verdict is Verdict.IMPROVED, verdict is Verdict.REGRESSED, test.n,
    )  # fmt: skip


def _peek(cell: Cell, scores: Scores, seed: int) -> tuple[bool, bool, bool, bool, int]:
    """What people do without sequential tests: an exact test now and then, until one succeeds."""
    wins, losses = ((sign * scores.differences > 0).cumsum() for sign in (1, -1))
    for n in range(BLOCK, cell.cap + 1, BLOCK):
        for alternative in ("greater", "less"):
            if mcnemar(int(wins[n - 1]), int(losses[n - 1]), alternative=alternative) <= ALPHA:
                better = alternative == "greater"
                return better, not better, better, not better, n
    return False, False, False, False, cell.cap


def _t_interval(cell: Cell, scores: Scores, seed: int) -> tuple[bool, bool, bool, bool, int]:
    before = np.clip(scores.candidate - scores.differences, 0, 1)
    test = paired_test(before, scores.candidate, _names(cell), confidence=1 - 2 * ALPHA)
    above, below = test.low > cell.margin_to_exceed, test.high < 0
    return above, below, test.low > 0, below, before.size
