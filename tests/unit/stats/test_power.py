from __future__ import annotations

import math

import numpy as np
import pytest

from llmops.stats.exact import mcnemar
from llmops.stats.power import Design, detectable, hybrid_plan, power, prompts_needed
from llmops.stats.sequential import SequentialTest
from llmops.stats.terminal import interval
from llmops.stats.units import units_of

QUARTER = Design(discordance=0.27)


def test_what_can_be_shown_never_leaves_what_the_discordance_allows() -> None:
    for hundredths in range(1, 100, 7):
        for bar in range(-20, 0, 3):
            design = Design(bar / 100, hundredths / 100, None, 0.05, False)
            found = detectable(design, 200)
            assert found is None or bar / 100 + found <= hundredths / 100 + 1e-9


def test_published_and_known_sizes() -> None:
    # (1.645 sqrt(q) + .842 sqrt(q - d^2))^2 / d^2, and 6.18 q / m^2 up to the variance at the bar.
    assert prompts_needed(QUARTER, 0.05) == 666
    assert prompts_needed(QUARTER, 0.10) == 165
    assert prompts_needed(Design(bar=-0.05, discordance=0.27), 0.0) == pytest.approx(668, abs=4)
    assert (
        prompts_needed(Design(sd=1.0, two_sided=True), 0.5, 0.9) == 43
    )  # the z test's table: 42.03


@pytest.mark.parametrize(
    ("design", "difference"),
    [
        (QUARTER, 0.05),
        (Design(bar=-0.05, discordance=0.2), 0.0),
        (Design(bar=-0.05, discordance=0.2), 0.02),
        (Design(bar=0.02, discordance=0.4, alpha=0.01), 0.1),
        (Design(sd=0.3, two_sided=True), 0.05),
    ],
)
@pytest.mark.parametrize("wanted", [0.3, 0.8, 0.95])
def test_size_power_and_detectable_difference_agree(
    design: Design, difference: float, wanted: float
) -> None:
    n = prompts_needed(design, difference, wanted)
    assert power(design, difference, n) == pytest.approx(wanted, abs=0.02)
    assert power(design, difference, n) >= wanted - 1e-9 >= power(design, difference, n - 1) - 0.02
    found = detectable(design, n, wanted)
    assert found == pytest.approx(difference - design.bar, rel=0.02)


def test_the_power_is_that_of_the_test() -> None:
    rng, n = np.random.default_rng(1), 400
    design, difference = Design(discordance=0.3), 0.07
    draws = rng.multinomial(n, [0.185, 0.115, 0.7], 3_000)
    found = np.mean([mcnemar(w, x, alternative="greater") <= 0.05 for w, x, _ in draws])
    assert power(design, difference, n) == pytest.approx(found, abs=0.03)
    assert power(design, 0.0, n) == pytest.approx(0.05)


def test_the_power_of_non_inferiority_is_that_of_the_interval() -> None:
    rng, n = np.random.default_rng(2), 400
    draws = rng.multinomial(n, [0.1, 0.1, 0.8], 600)
    found = np.mean(
        [
            interval(units_of([1.0] * w + [-1.0] * x + [0.0] * t), 0.05)[0] > -0.05
            for w, x, t in draws
        ]
    )
    assert power(Design(bar=-0.05, discordance=0.2), 0.0, n) == pytest.approx(found, abs=0.06)


def test_the_hybrid_plan_has_its_power_and_its_mean_use() -> None:
    design, difference, rng = Design(discordance=0.3), 0.1, np.random.default_rng(3)
    plan = hybrid_plan(design, difference)
    assert plan.mean is not None
    assert prompts_needed(design, difference) < plan.cap < 1.2 * prompts_needed(design, difference)
    shown, used = 0, 0
    for _ in range(400):
        test = SequentialTest("improve", 0.0, cap=plan.cap, method="hybrid")
        values = rng.choice([1.0, -1.0, 0.0], plan.cap, p=[0.2, 0.1, 0.7])
        for start in range(0, plan.cap, 25):
            if test.update(values[start : start + 25]):
                break
        shown, used = shown + bool(test.passed), used + test.n
    assert shown / 400 >= 0.8 - 3 * math.sqrt(0.16 / 400)
    assert used / 400 == pytest.approx(plan.mean, rel=0.1)


def test_what_is_not_simulated_is_not_claimed() -> None:
    assert hybrid_plan(Design(sd=0.4), 0.1).mean is None
    assert hybrid_plan(Design(discordance=0.3), 0.005).mean is None


def test_too_few_prompts_detect_nothing() -> None:
    assert detectable(Design(discordance=0.1), 5) is None
    assert detectable(Design(discordance=0.1), 0) is None


def test_everything_one_way() -> None:
    everything = Design(discordance=1.0)
    assert prompts_needed(everything, 1.0) == 3
    assert power(everything, 1.0, 3) == 1.0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "either"),
        ({"discordance": 0.3, "sd": 0.2}, "either"),
        ({"discordance": 0.0}, "above 0"),
        ({"sd": 1.2}, "at most 1"),
        ({"sd": math.nan}, "above 0"),
        ({"discordance": 0.3, "bar": -1.0}, "bar"),
        ({"discordance": 0.3, "alpha": 0.5}, "alpha"),
    ],
)
def test_designs_that_cannot_be_are_refused(arguments: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Design(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("difference", "wanted", "complaint"),
    [
        (0.0, 0.8, "not beyond"),
        (-0.1, 0.8, "not beyond"),
        (0.5, 0.8, "discordance"),
        (0.1, 1.0, "power"),
    ],
)
def test_claims_that_cannot_be_shown_are_refused(
    difference: float, wanted: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        prompts_needed(QUARTER, difference, wanted)
