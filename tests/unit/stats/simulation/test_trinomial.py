from __future__ import annotations

import math

import numpy as np
import pytest

from llmops.stats.sequential import SequentialTest
from llmops.stats.simulation import Design, exact_power
from llmops.stats.simulation.trinomial import Look, excludes, first_decision
from llmops.stats.spending import Boundary
from llmops.stats.terminal import interval
from llmops.stats.units import units_of


def shown(wins: int, losses: int, n: int, bound: float, level: float) -> bool:
    units = units_of([1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses))
    return interval(units, level)[0] > bound


@pytest.mark.parametrize("level", [0.001, 0.025, 0.1])
@pytest.mark.parametrize("bound", [-0.15, -0.02, 0.0, 0.1])
def test_counts_are_decided_as_by_the_interval(bound: float, level: float) -> None:
    for n in (1, 2, 9, 33):
        pairs = [(w, x) for w in range(n + 1) for x in range(n + 1 - w)]
        wins, losses = np.array(pairs, dtype=float).T
        expected = [shown(w, x, n, bound, level) for w, x in pairs]
        assert excludes(wins, losses, n, bound, level).tolist() == expected


@pytest.mark.parametrize(
    ("design", "difference"),
    [
        (Design(bar=-0.15, discordance=0.3), 0.0),
        (Design(discordance=0.6), 0.4),
        (Design(bar=0.1, discordance=0.5, alpha=0.1), 0.45),
        (Design(bar=-0.2, discordance=0.1), 0.1),
        (Design(bar=0.5, discordance=1.0), 0.9),
    ],
)
def test_exact_sums_are_those_of_brute_force(design: Design, difference: float) -> None:
    q = float(design.discordance or 0)
    win, loss = (q + difference) / 2, (q - difference) / 2
    for n in (2, 7, 30):
        total = 0.0
        for w in range(n + 1):
            for x in range(n + 1 - w):
                ways = math.comb(n, w) * math.comb(n - w, x)
                chance = ways * win**w * loss**x * (1 - win - loss) ** (n - w - x)
                total += chance * shown(w, x, n, design.bar, design.alpha)
        assert exact_power(design, difference, n) == pytest.approx(total, abs=1e-9)


def test_all_counts_together_are_certain() -> None:
    certain = Design(bar=-0.99, discordance=0.01)  # as good as any result excludes it
    assert exact_power(certain, 0.0, 3_000) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("design", "difference"),
    [
        (Design(bar=-0.1, discordance=0.3), 0.0),
        (Design(bar=-0.05, discordance=0.3), -0.049),  # futility at some looks
        (Design(bar=-0.05, discordance=0.8), -0.049),
        (Design(discordance=0.3), 0.1),
        (Design(bar=0.05, discordance=0.3), 0.1),
    ],
)
def test_counts_stop_where_the_sequential_test_does(design: Design, difference: float) -> None:
    n, runs = 320, 300
    ends, boundary = range(32, n + 1, 32), Boundary(design.alpha, "power")
    looks = [Look(end, boundary.level(end / n), end / n) for end in ends]
    passed, used = first_decision(design, difference, looks, runs * 100, seed=1)
    rng, q = np.random.default_rng(2), float(design.discordance or 0)
    chances = [(q + difference) / 2, (q - difference) / 2, 1 - q]
    found = np.zeros((runs, 2))
    for row in found:
        test = SequentialTest(design.must, abs(design.bar), cap=n, alpha=design.alpha)
        values = rng.choice([1.0, -1.0, 0.0], n, p=chances)
        for start in range(0, n, 32):
            if test.update(values[start : start + 32]):
                break
        row[:] = test.passed is True, test.n
    error = found.std(axis=0) / math.sqrt(runs)
    assert passed.mean() == pytest.approx(found[:, 0].mean(), abs=3.5 * error[0] + 0.005)
    assert used.mean() == pytest.approx(found[:, 1].mean(), abs=3.5 * error[1])
