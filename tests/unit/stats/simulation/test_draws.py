from __future__ import annotations

import numpy as np
import pytest

from llmops.stats.simulation import Design, draw

DESIGNS = [
    (Design(discordance=0.3, level=0.6), 0.1),
    (Design(bar=-0.5, discordance=0.3, level=0.6), -0.1),
    (Design(sd=0.05, level=0.7), 0.02),
    (Design(sd=0.6), 0.2),
    (Design(discordance=0.3, sizes=(4,), icc=0.4), 0.1),
    (Design(sd=0.2, sizes=(4,), icc=0.4), 0.05),
]


@pytest.mark.parametrize(("design", "difference"), DESIGNS)
def test_the_assumptions_are_what_is_drawn(design: Design, difference: float) -> None:
    differences, candidate = draw(design, difference, 400, 500, seed=1)
    error = design.spread(difference) / np.sqrt(differences.size) * 2  # clusters: up to twice
    assert differences.mean() == pytest.approx(difference, abs=4 * error)
    assert differences.std() == pytest.approx(design.spread(difference), rel=0.02)
    if design.sd != 0.6:  # such differences leave less room for the level
        better = max(candidate.mean(), (candidate - differences).mean())
        assert better == pytest.approx(design.level, abs=0.01)
    assert candidate.min() >= 0
    assert candidate.max() <= 1
    assert (candidate - differences).min() >= -1e-12
    assert (candidate - differences).max() <= 1 + 1e-12


@pytest.mark.parametrize(("design", "difference"), DESIGNS[-2:])
def test_the_prompts_of_a_cluster_are_as_alike_as_assumed(
    design: Design, difference: float
) -> None:
    differences = draw(design, difference, 400, 500, seed=1).differences.reshape(-1, 4)
    together = np.corrcoef(differences.T)[np.triu_indices(4, 1)]
    assert together == pytest.approx(np.full(6, design.icc), abs=0.02)
    apart = np.corrcoef(differences[:-1, 0], differences[1:, 0])[0, 1]
    assert apart == pytest.approx(0, abs=0.02)


def test_more_prompts_come_behind_the_first() -> None:
    for design, difference in DESIGNS:
        some = draw(design, difference, 60, 20, seed=3)
        more = draw(design, difference, 100, 20, seed=3)
        for few, many in zip(some, more, strict=True):
            assert np.array_equal(few, many[:, :60])
