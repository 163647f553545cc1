"""How many pairs of systems are shown to differ on a large clustered suite, beside a bootstrap.

It has the shape of a translation test set: 196 pairs, 2,000 prompts in 227 documents of unequal size.
True differences are drawn so that a cluster bootstrap shows about 157 of the 196 pairs, once with low
scores such as token F1 and once with higher ones such as chrF. The same suites with a true difference
of 0 show what each test asserts falsely.

    python tests/benchmarks/pairs_shown.py              # two minutes on 2 cores
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from operating_scenarios import BLOCK, SUITES, Scores

from llmops.records import Verdict
from llmops.stats import SequentialTest, paired_test, spread_blocks

PAIRS, RESAMPLES, ALPHA = 196, 2_000, 0.025
SIZES = SUITES["227 unequal clusters"]
NAMES = np.repeat([f"d{i}" for i in range(SIZES.size)], SIZES).tolist()


class Setting(NamedTuple):
    """Scores of the baseline and their differences from the candidate's.

    ``low`` and ``range``: scores are low + range * Beta(2, 2). ``spread``: standard deviation of a
    prompt's difference; ``icc``: share of its variance that a document has in common. ``effect``:
    standard deviation of the true differences between pairs.
    """

    low: float
    range: float
    spread: float
    icc: float
    effect: float


SETTINGS = {
    "token F1, mean 0.35": Setting(0.2, 0.3, 0.16, 0.2, 0.05),
    "chrF, mean 0.55": Setting(0.3, 0.5, 0.13, 0.05, 0.027),
}


class Shown(NamedTuple):
    """Whether each test shows a difference, and the prompts that the default method asked."""

    bootstrap: bool
    jackknife: bool
    fixed: bool
    spend: bool
    prompts: int


def drawn(rng: np.random.Generator, setting: Setting, mean: float) -> Scores:
    """Scores of a pair whose true difference is ``mean``, before clipping to [0, 1]."""
    n = int(SIZES.sum())
    before = setting.low + setting.range * rng.beta(2, 2, n)
    noise = np.repeat(rng.normal(0, setting.spread * setting.icc**0.5, SIZES.size), SIZES)
    noise += rng.normal(0, setting.spread * (1 - setting.icc) ** 0.5, n)
    after = np.clip(before + mean + noise, 0, 1)
    return Scores(after - before, after)


def bootstrap(rng: np.random.Generator, differences: np.ndarray) -> tuple[float, float]:
    """Percentile interval over resampled documents, for confidence 0.95."""
    ends = np.cumsum(SIZES)
    sums = np.add.reduceat(differences, np.r_[0, ends[:-1]])
    picked = rng.integers(0, SIZES.size, (RESAMPLES, SIZES.size))
    means = sums[picked].sum(axis=1) / SIZES[picked].sum(axis=1)
    low, high = np.quantile(means, [ALPHA, 1 - ALPHA])
    return float(low), float(high)


def sequential(method: str, scores: Scores, seed: int) -> tuple[bool, int]:
    """Return whether the product shows that the sides differ, and the prompts that it asked."""
    n = scores.differences.size
    test = SequentialTest(
        "improve",
        0.0,
        cap=n,
        method=method,
        alpha=ALPHA,
        largest_cluster=int(SIZES.max()),
        seed=seed,
    )
    parts = [np.arange(n)] if method == "fixed" else spread_blocks(n, BLOCK, seed, NAMES)
    for part in parts:
        names = [NAMES[i] for i in part]
        if test.update(scores.differences[part], names, scores.candidate[part]):
            break
    return test.verdict in (Verdict.IMPROVED, Verdict.REGRESSED), test.n


def judged(job: tuple[int, Setting, float]) -> Shown:
    """Draw one pair, and judge it with every test."""
    seed, setting, effect = job
    rng = np.random.default_rng([seed, 227])
    scores = drawn(rng, setting, effect * rng.normal())
    low, high = bootstrap(rng, scores.differences)
    t = paired_test(scores.candidate - scores.differences, scores.candidate, NAMES)
    fixed, _ = sequential("fixed", scores, seed)
    spend, prompts = sequential("spend", scores, seed)
    return Shown(low > 0 or high < 0, t.low > 0 or t.high < 0, fixed, spend, prompts)


def report(title: str, setting: Setting, effect: float, pairs: int) -> None:
    """Print how many pairs each test shows."""
    with ProcessPoolExecutor() as pool:
        found = list(
            pool.map(judged, [(seed, setting, effect) for seed in range(pairs)], chunksize=4)
        )
    boot, t, fixed, spend, prompts = np.mean(found, axis=0)
    print(f"{title}: of {pairs} pairs, per {PAIRS}:")
    for name, share in (
        ("cluster bootstrap", boot),
        ("jackknife t", t),
        ("llmops, fixed", fixed),
        ("llmops, spend", spend),
    ):
        print(f"  {name:<18} {share * PAIRS:6.1f}  ({share:.1%})")
    print(f"  prompts asked by spend: {prompts:,.0f} of {int(SIZES.sum()):,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5 * PAIRS)
    pairs = parser.parse_args().pairs
    for name, setting in SETTINGS.items():
        report(f"{name}, true differences", setting, setting.effect, pairs)
        report(f"{name}, no difference", setting, 0.0, pairs)


if __name__ == "__main__":
    main()
