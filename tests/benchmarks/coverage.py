"""How often printed intervals contain the truth: Bradley-Terry strengths, human labels, slices.

Every interval comes from the product's own function on simulated scores. Writes the table of
``docs/explanation/operating-characteristics.md`` and ends with exit code 1 if a bar is missed.

    python tests/benchmarks/coverage.py                      # two minutes on 2 cores
    python tests/benchmarks/coverage.py --runs 100 --dry     # a look at it
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from operating_characteristics import PAGE, table, write
from slices_after_stop import slices_after_stop

from llmops.stats import bradley_terry, powered_mean
from llmops.stats.units import Floats

CONFIDENCE, QUANTILE = 0.95, 1.96
LEAST, MOST = 0.94, 0.97
"""Bars: an interval may cover less only within the noise, and more only for a reason."""
SLICE = "slice"
PART = 100
"""Simulations of one job."""

Names = list[str]
Draw = Callable[[np.random.Generator, int], tuple[Floats, Floats, Names]]


@dataclass(frozen=True)
class Counts:
    """Intervals of some simulations: all, those below the truth, those above it."""

    intervals: int = 0
    below: int = 0
    above: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.intervals + other.intervals, self.below + other.below, self.above + other.above
        )

    @property
    def coverage(self) -> float:
        return 1 - (self.below + self.above) / self.intervals


def sizes_of(shape: str, prompts: int) -> np.ndarray:
    """Sizes of the clusters of a suite, largest first."""
    if shape == "unequal":
        weights = 1.0 / np.arange(1, prompts // 6 + 1) ** 0.5
        return np.maximum(1, np.round(prompts * weights / weights.sum())).astype(int)
    return np.full(prompts // int(shape), int(shape))


def answers(
    rng: np.random.Generator, sides: int, sizes: np.ndarray, icc: float, *, binary: bool
) -> tuple[Floats, Names]:
    """Scores of sides that all answer the same prompts, some hard for all, and the clusters."""
    cluster = np.repeat(np.arange(sizes.size), sizes)
    shared = np.sqrt(icc) * rng.normal(size=(sides, sizes.size))[:, cluster]
    own = np.sqrt(1 - icc) * rng.normal(size=(sides, cluster.size))
    skill = np.linspace(0.4, -0.4, sides)[:, None]
    hard = rng.normal(size=cluster.size)
    scores = skill + hard + shared + own
    names = [f"c{i}" for i in cluster]
    return (np.asarray(scores > 0, float) if binary else scores), names


@cache
def true_strengths(sides: int, binary: bool) -> tuple[float, ...]:
    """Strengths on very many prompts, in the order of the sides."""
    rng = np.random.default_rng(0)
    scores, _ = answers(rng, sides, np.ones(200_000, int), 0.0, binary=binary)
    found = bradley_terry(list(map(str, range(sides))), scores)
    return tuple(found.strengths[[found.names.index(str(i)) for i in range(sides)]])


def strengths(
    seeds: range, *, sides: int, shape: str, icc: float, binary: bool, prompts: int = 200
) -> Counts:
    """Coverage of strength ± 1.96 standard errors."""
    truth, counts = np.array(true_strengths(sides, binary)), Counts()
    for seed in seeds:
        rng = np.random.default_rng((seed, 1))
        scores, clusters = answers(rng, sides, sizes_of(shape, prompts), icc, binary=binary)
        found = bradley_terry(list(map(str, range(sides))), scores, clusters)
        gap = (found.strengths - truth[[int(name) for name in found.names]]) / found.errors
        counts += Counts(sides, int((gap < -QUANTILE).sum()), int((gap > QUANTILE).sum()))
    return counts


def preferences(
    rng: np.random.Generator, prompts: int, *, agreement: float, tie: float, size: int
) -> tuple[Floats, Floats, Names]:
    """Preferences of humans in -1, 0, 1, the judge's differences, and the clusters."""
    cluster = np.arange(prompts) // size
    icc = 0.5 if size > 1 else 0.0

    def drawn() -> Floats:
        shared = rng.normal(size=prompts)[cluster]
        return np.sqrt(icc) * shared + np.sqrt(1 - icc) * rng.normal(size=prompts)

    human = drawn()
    judge = agreement * human + np.sqrt(1 - agreement**2) * drawn()
    liked = np.sign(human + 0.3) * (np.abs(human + 0.3) > tie)
    return liked, np.tanh(judge / 2 + 0.2), [f"c{i}" for i in cluster]


@cache
def true_preference(tie: float) -> float:
    """Mean preference of humans over very many prompts."""
    from scipy.stats import norm

    return float(norm.cdf(0.3 - tie) - norm.cdf(-0.3 - tie))


def labels(
    seeds: range, *, labelled: int, agreement: float, tie: float, size: int = 1, whole: bool = False
) -> Counts:
    """Coverage of the interval from human labels of some of 1,000 prompts."""
    truth, counts = true_preference(tie), Counts()
    for seed in seeds:
        rng = np.random.default_rng((seed, 2))
        liked, judged, names = preferences(rng, 1_000, agreement=agreement, tie=tie, size=size)
        order = np.arange(1_000) if whole else rng.permutation(1_000)
        drawn, rest = order[:labelled], order[labelled:]
        clusters = ([names[i] for i in drawn], [names[i] for i in rest])
        found = powered_mean(
            liked[drawn],
            judged[drawn],
            judged[rest],
            clusters=clusters if size > 1 else None,
            confidence=CONFIDENCE,
        )
        counts += Counts(1, int(found.high < truth), int(found.low > truth))
    return counts


def after_stop(seeds: range, **scenario: object) -> Counts:
    """Coverage of the interval of one of two slices after a comparison that may stop early."""
    return Counts(*slices_after_stop(seeds, **scenario))  # type: ignore[arg-type]


Job = Callable[[range], Counts]


def cells() -> dict[tuple[str, str], Job]:
    """Every interval and situation of the table."""
    found: dict[tuple[str, str], Job] = {}
    for text, sides, shape, icc, binary in (
        ("3 sides, continuous scores", 3, "1", 0.0, False),
        ("6 sides, continuous scores", 6, "1", 0.0, False),
        ("3 sides, right or wrong", 3, "1", 0.0, True),
        ("3 sides, 50 clusters of 4", 3, "4", 0.5, False),
        ("3 sides, 33 unequal clusters", 3, "unequal", 0.5, False),
    ):
        found["Bradley-Terry strength", text] = partial(
            strengths, sides=sides, shape=shape, icc=icc, binary=binary
        )
    for labelled in (50, 100, 200):
        for text, agreement, tie, size, whole in (
            ("correlation 0.7", 0.8, 0.4, 1, False),
            ("80% ties", 0.8, 1.3, 1, False),
            ("useless judge", 0.0, 0.4, 1, False),
            ("clusters of 5", 0.8, 0.4, 5, False),
            ("clusters of 5, labelled as a whole", 0.8, 0.4, 5, True),
        ):
            found["human labels, PPI++", f"{labelled} labels, {text}"] = partial(
                labels, labelled=labelled, agreement=agreement, tie=tie, size=size, whole=whole
            )
    for method in ("spend", "hybrid", "obf"):
        found[f"{SLICE}, comparison may stop early", f"`{method}`, other slice +0.16"] = partial(
            after_stop, method=method, gains=(0.16, 0.0)
        )
    return found


def runs_of(cell: tuple[str, str], runs: int) -> int:
    """Simulations of a cell: whole comparisons take longest."""
    return runs // 4 if cell[0].startswith(SLICE) else runs


def measure(runs: int) -> dict[tuple[str, str], Counts]:
    """Simulate every cell on all cores."""
    jobs = cells()
    found = dict.fromkeys(jobs, Counts())
    with ProcessPoolExecutor() as pool:
        waiting = [
            (cell, pool.submit(job, range(start, min(start + PART, runs_of(cell, runs)))))
            for cell, job in jobs.items()
            for start in range(0, runs_of(cell, runs), PART)
        ]
        for cell, future in waiting:
            found[cell] += future.result()
    return found


def rows(found: dict[tuple[str, str], Counts]) -> list[list[str]]:
    return [
        [
            interval,
            situation,
            f"{counts.coverage:.3f}",
            f"{counts.below / counts.intervals:.3f} / {counts.above / counts.intervals:.3f}",
        ]
        for (interval, situation), counts in found.items()
    ]


def bars(found: dict[tuple[str, str], Counts], runs: int) -> list[tuple[str, bool]]:
    """What must hold, and whether it does; a share at its bar is below it half of the time."""
    checks = []
    for (interval, situation), counts in found.items():
        played = runs_of((interval, situation), runs)
        noise = 1.645 * (LEAST * (1 - LEAST) / played) ** 0.5
        wide = interval.startswith(SLICE)  # Bonferroni's correction for looks
        holds = counts.coverage >= LEAST - noise and (wide or counts.coverage <= MOST + noise)
        checks.append((f"{interval}, {situation}: {counts.coverage:.4f}", holds))
        if wide:
            worst = max(counts.below, counts.above) / counts.intervals
            level = (1 - CONFIDENCE) / 2
            most = level + 1.645 * (level * (1 - level) / played) ** 0.5
            checks.append((f"{interval}, {situation}: wrong side {worst:.4f}", worst <= most))
    return checks


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2_000, help="simulations of each cell")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    arguments = parser.parse_args()
    begin = time.monotonic()
    found = measure(arguments.runs)
    text = table(["interval", "situation", "coverage", "misses below / above"], rows(found))
    checks = bars(found, arguments.runs)
    print(text)
    if not arguments.dry:
        write(PAGE, "coverage", text)
    for label, holds in checks:
        print("holds " if holds else "MISSED", label)
    print(f"{arguments.runs:,} simulations of each cell, {time.monotonic() - begin:.0f} s")
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
