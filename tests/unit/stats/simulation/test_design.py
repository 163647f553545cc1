from __future__ import annotations

import math

import numpy as np
import pytest

from llmops.stats.simulation import Design


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "either"),
        ({"discordance": 0.3, "sd": 0.2}, "either"),
        ({"discordance": 0.0}, "above 0"),
        ({"discordance": 1.2}, "at most 1"),
        ({"sd": 1.0}, "between 0 and 1"),
        ({"sd": math.nan}, "between 0 and 1"),
        ({"discordance": 0.3, "bar": -1.0}, "bar"),
        ({"discordance": 0.3, "alpha": 0.5}, "alpha"),
        ({"sd": 0.3, "level": 0.0}, "level"),
        ({"sd": 0.3, "icc": 1.1}, "icc"),
        ({"sd": 0.3, "sizes": (4, 0)}, "cluster size"),
        ({"sd": 0.3, "sizes": ()}, "cluster size"),
        ({"sd": 0.3, "clusters": 1}, "clusters"),
        ({"sd": 0.3, "clusters": 9, "sizes": (2,)}, "either the number of clusters"),
    ],
)
def test_designs_that_cannot_be_are_refused(arguments: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Design(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("design", "difference", "complaint"),
    [
        (Design(discordance=0.27), 0.0, "not beyond"),
        (Design(discordance=0.27), math.nan, "not beyond"),
        (Design(discordance=0.27), 0.5, "more than the discordance 0.27"),
        (Design(sd=0.2, level=0.3), 0.4, "more than the level 0.3"),
        (Design(bar=-0.5, sd=0.2, level=0.3), -0.4, "more than the level 0.3"),
        (Design(sd=0.95, level=1.0), 0.4, "an sd of 0.95 allows 0.312 at most"),
    ],
)
def test_differences_that_cannot_be_are_refused(
    design: Design, difference: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        design.check(difference)


def test_the_requirement_follows_from_the_bar() -> None:
    assert Design(bar=-0.1, sd=0.2).must == "not_regress"
    assert Design(sd=0.2).must == Design(bar=0.1, sd=0.2).must == "improve"


def test_clusters_by_size_and_by_number() -> None:
    taking_turns = Design(sd=0.2, sizes=(1, 3), icc=0.2)
    assert taking_turns.units(7).tolist() == [0, 1, 1, 1, 2, 3, 3]
    assert np.bincount(Design(sd=0.2, clusters=3, icc=0.2).units(8)).tolist() == [3, 3, 2]
    assert Design(sd=0.2).units(3).tolist() == [0, 1, 2]
    assert not taking_turns.independent
    assert Design(discordance=0.2).ternary
    assert not Design(discordance=0.2, clusters=4).ternary
