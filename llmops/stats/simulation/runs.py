"""Simulated comparisons: how often the product's own test shows a claim, and after which prompts.

Every decision is one of ``terminal.interval``, ``is_futile`` and the boundaries of ``spending.py``, in
the order of ``plan.spread_blocks``; the unit tests check that ``SequentialTest`` decides alike on the
same data. A look is computed only where two quick bounds, which are never wider, would decide.
The methods with an e-process run ``SequentialTest`` itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from llmops.stats.exact import DRAWS
from llmops.stats.futility import is_futile
from llmops.stats.plan import blocks, spread_blocks
from llmops.stats.result import E_SHARES, SPENDINGS, Method
from llmops.stats.sequential import SequentialTest
from llmops.stats.simulation.design import Design
from llmops.stats.simulation.draws import Drawn, draw
from llmops.stats.simulation.trinomial import Look, exact_power, first_decision
from llmops.stats.spending import Boundary
from llmops.stats.terminal import interval
from llmops.stats.units import Floats, Units, units_of

BLOCK = 32
"""Prompts between two looks, as in a recipe by default."""
MOST_LOOKS = 200
"""Larger suites are simulated with larger blocks: more looks change power and mean use by little."""
CHUNK = 100
"""Comparisons drawn at a time, in one order of prompts; the same for every number of prompts."""
COUNTED = 10
"""Simulations by counts alone for each one with drawn scores: they cost less still."""
SLACK = 1e-9
"""Rounding error of the quick check."""


class Runs(NamedTuple):
    """The outcome of simulated comparisons.

    Attributes:
        power: Share that showed the claim.
        error: Standard error of that share by simulation; 0 if it was computed exactly.
        mean: Mean number of prompts used.
    """

    power: float
    error: float
    mean: float


def run(
    design: Design, difference: float, prompts: int, method: Method, simulations: int, seed: int = 0
) -> Runs:
    """Return how often a comparison shows the claim.

    Args:
        design: Claim and assumptions.
        difference: True mean difference.
        prompts: Prompts of the suite.
        method: See ``SequentialTest``.
        simulations: Number of comparisons; ten times as many by counts alone.
        seed: Seed of all draws.
    """
    if design.ternary and method == "fixed":
        return Runs(exact_power(design, difference, prompts), 0.0, float(prompts))
    if design.ternary and method in SPENDINGS:
        looks, runs = _looks(design, prompts, method), COUNTED * simulations
        return _summary(*first_decision(design, difference, looks, runs, seed))
    one = _by_sequential_test if method in E_SHARES else _by_intervals
    found = [
        one(design, prompts, method, draw(design, difference, prompts, CHUNK, start), start)
        for start in range(seed, seed + simulations, CHUNK)
    ]
    passed, used = (np.concatenate(parts)[:simulations] for parts in zip(*found, strict=True))
    return _summary(passed, used)


def _summary(passed: NDArray[np.bool_], used: NDArray[np.intp]) -> Runs:
    share = float(passed.mean())
    return Runs(share, math.sqrt(share * (1 - share) / passed.size), float(used.mean()))


def _block(prompts: int) -> int:
    return max(BLOCK, math.ceil(prompts / MOST_LOOKS))


def _looks(design: Design, prompts: int, method: Method) -> list[Look]:
    if method == "fixed":
        return [Look(prompts, design.alpha, 1.0)]
    ends = [*range(_block(prompts), prompts, _block(prompts)), prompts]
    boundary = Boundary(design.alpha, SPENDINGS[method])
    return [Look(end, boundary.level(end / prompts), end / prompts) for end in ends]


def _by_sequential_test(
    design: Design, prompts: int, method: Method, drawn: Drawn, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    index = design.units(prompts)
    names = None if design.independent else index.astype(str).tolist()
    passed, used = [], []
    for i, (values, scores) in enumerate(zip(*drawn, strict=True)):
        test = SequentialTest(
            design.must,
            abs(design.bar),
            cap=prompts,
            method=method,
            alpha=design.alpha,
            largest_cluster=int(np.bincount(index).max()),
        )
        for block in blocks(prompts, _block(prompts), seed + i, names):
            some = [names[j] for j in block] if names else None
            if test.update(values[block], some, scores[block]):
                break
        passed.append(test.passed is True)
        used.append(test.n)
    return np.array(passed), np.array(used)


def _by_intervals(
    design: Design, prompts: int, method: Method, drawn: Drawn, seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    index = None if design.independent else design.units(prompts)
    names = None if index is None else index.astype(str).tolist()
    order = np.concatenate(spread_blocks(prompts, BLOCK, seed, names))
    index = None if index is None else index[order]
    values, scores = (np.ascontiguousarray(x[:, order]) for x in drawn)
    looks = [look for look in _looks(design, prompts, method) if look.level > 0]
    due = _due(design, Drawn(values, scores), index, looks)
    passed, used = np.zeros(len(values), dtype=bool), np.full(len(values), prompts)
    for i, places in enumerate(map(np.flatnonzero, due)):
        for k in places:
            n = looks[k].prompts
            units = _grouped(units_of(values[i, :n], None, scores[i, :n]), index)
            answer = _answer(design, looks[k], units)
            if answer is not None:
                passed[i], used[i] = answer, n
                break
    return passed, used


def _grouped(prompts: Units, index: NDArray[np.intp] | None) -> Units:
    """Return the clusters of these prompts, by the numbers of their clusters."""
    if index is None:
        return prompts
    _, group = np.unique(index[: prompts.sums.size], return_inverse=True)
    columns = (prompts.sums, prompts.sizes, prompts.falls, prompts.rises)
    return Units(*(np.bincount(group, column).astype(np.float64) for column in columns))


def _answer(design: Design, look: Look, units: Units) -> bool | None:
    """Return whether a look shows the claim, refutes it, or decides nothing, as ``SequentialTest``."""
    # Fewer draws where the level is large: a p-value near it has an error of a third of it.
    enough = look.level * (DRAWS + 1) >= 1
    draws = min(DRAWS, math.ceil(10 / look.level)) if enough else DRAWS
    low, high = interval(units, look.level, draws=draws)
    if low > design.bar:
        return True
    if high < design.bar:
        return False
    losing = design.bar < 0 and high < 0 and look.time < 1
    return False if losing and is_futile(units, design.bar, look.time, design.alpha) else None


def _due(
    design: Design, drawn: Drawn, index: NDArray[np.intp] | None, looks: list[Look]
) -> NDArray[np.bool_]:
    """Return at which looks the quick bounds would decide, shape (runs, looks).

    The interval contains the plain t interval, and reaches as far as failures of all units alike.
    """
    values, scores = drawn
    ends = np.array([look.prompts for look in looks]) - 1
    own, other = (np.cumsum(x, axis=1)[:, ends] / (ends + 1) for x in (scores, scores - values))
    found = _moments(values, looks) if index is None else _cluster_moments(values, index, looks)
    due = np.zeros(own.shape, dtype=bool)
    for k, (look, (mean, error, freedom, units)) in enumerate(zip(looks, found, strict=True)):
        reach = -special.stdtrit(freedom, look.level) * error
        unseen = 1 - look.level ** (1 / units)
        low = mean - np.maximum(reach, unseen * own[:, k]) + SLACK
        high = mean + np.maximum(reach, unseen * other[:, k]) - SLACK
        losing = (high < max(design.bar, 0.0)) & (mean < design.bar + SLACK)
        due[:, k] = (low > design.bar) | losing
    return due


class _Moments(NamedTuple):
    """Mean, standard error (each of shape (runs,)), degrees of freedom and number of units."""

    mean: Floats
    error: Floats
    freedom: float
    units: int


def _moments(values: Floats, looks: list[Look]) -> list[_Moments]:
    """Return the moments at each look."""
    ends = [look.prompts for look in looks]
    totals, squares = (np.cumsum(x, axis=1)[:, np.array(ends) - 1] for x in (values, values**2))
    found = []
    for k, n in enumerate(ends):
        mean = totals[:, k] / n
        variance = np.maximum(0.0, squares[:, k] / n - mean**2) / max(1, n - 1)
        found.append(_Moments(mean, np.sqrt(variance), max(1.0, n - 1.0), n))
    return found


def _cluster_moments(values: Floats, index: NDArray[np.intp], looks: list[Look]) -> list[_Moments]:
    """Return the same by the jackknife over the clusters as far as they were seen."""
    clusters = int(index.max()) + 1
    sums, sizes = np.zeros((clusters, values.shape[0])), np.zeros(clusters)
    found, start = [], 0
    for look in looks:
        part = slice(start, look.prompts)
        np.add.at(sums, index[part], values[:, part].T)
        np.add.at(sizes, index[part], 1.0)
        start, seen = look.prompts, sizes > 0
        some, count = sums[seen], sizes[seen][:, None]
        total, prompts, groups = some.sum(axis=0), float(sizes.sum()), int(seen.sum())
        mean = total / prompts
        if groups < 2:
            found.append(_Moments(mean, np.full(mean.shape, np.inf), 1.0, groups))
            continue
        apart = (total - some) / (prompts - count) - mean
        error = np.sqrt((groups - 1) / groups * (apart**2).sum(axis=0))
        freedom = max(1.0, prompts**2 / float((sizes**2).sum()) - 1)
        found.append(_Moments(mean, error, freedom, groups))
    return found
