from __future__ import annotations

import numpy as np
import pytest

from llmops.stats.plan import spread_blocks
from llmops.stats.result import Method
from llmops.stats.sequential import SequentialTest
from llmops.stats.simulation import Design, draw, run
from llmops.stats.simulation.runs import CHUNK

CASES: list[tuple[Design, float, Method, int]] = [
    (Design(bar=-0.02, sd=0.05, level=0.7), 0.0, "spend", 170),
    (Design(bar=-0.05, sd=0.2), 0.0, "fixed", 126),
    (Design(bar=-0.05, sd=0.2), -0.04, "spend", 300),
    (Design(sd=0.16), 0.05, "spend", 90),
    (Design(bar=-0.1, discordance=0.3, sizes=(4,), icc=0.4), 0.0, "spend", 400),
    (Design(bar=-0.1, sd=0.3, sizes=(1, 2, 9), icc=0.3), 0.0, "obf", 300),
    (Design(discordance=0.3, clusters=28, icc=0.2), 0.2, "spend", 200),
]


@pytest.mark.parametrize(("design", "difference", "method", "prompts"), CASES)
def test_the_sequential_test_decides_the_same_data_alike(
    design: Design, difference: float, method: Method, prompts: int
) -> None:
    found = run(design, difference, prompts, method, CHUNK, seed=5)
    differences, candidate = draw(design, difference, prompts, CHUNK, seed=5)
    names = None if design.independent else [str(i) for i in design.units(prompts)]
    size = prompts if method == "fixed" else 32
    shown, used = [], []
    for values, scores in zip(differences, candidate, strict=True):
        test = SequentialTest(
            design.must, abs(design.bar), cap=prompts, method=method, alpha=design.alpha
        )
        for block in spread_blocks(prompts, size, 5, names):
            some = [names[i] for i in block] if names else None
            if test.update(values[block], some, scores[block]):
                break
        shown.append(test.passed is True)
        used.append(test.n)
    # With a claim of 0, sign flips are drawn less often here: a run or two may differ.
    slack = 0.021 if design.bar == 0 else 1e-12
    assert found.power == pytest.approx(np.mean(shown), abs=slack)
    assert found.mean == pytest.approx(np.mean(used), abs=max(1e-9, slack * prompts))
    assert 0.02 < found.power < 0.999 or difference < 0


@pytest.mark.parametrize("method", ["hybrid", "anytime"])
@pytest.mark.parametrize("design", [Design(discordance=0.3), Design(sd=0.3, sizes=(3,), icc=0.2)])
def test_methods_with_an_e_process_are_simulated_too(design: Design, method: Method) -> None:
    found = run(design, 0.1, 240, method, CHUNK)
    assert 0.1 < found.power <= 1
    assert found.mean < 240
    assert found.error < 0.06


def test_one_test_of_wins_and_losses_is_not_simulated() -> None:
    found = run(Design(discordance=0.3), 0.15, 103, "fixed", 1)
    assert found.error == 0
    assert found.mean == 103
    assert found == run(Design(discordance=0.3), 0.15, 103, "fixed", 1, seed=9)


def test_larger_suites_have_no_more_than_two_hundred_looks() -> None:
    few = run(Design(bar=-0.02, discordance=0.3), 0.0, 8_000, "spend", 100)
    assert 0.85 < few.power < 0.95
    assert few.mean < 6_000
