from __future__ import annotations

import numpy as np
import pytest

from llmops.stats.plan import spread_blocks
from llmops.stats.power import detectable, prompts_needed, simulated_power
from llmops.stats.result import Method
from llmops.stats.sequential import SequentialTest
from llmops.stats.simulation import Design

FEW = 800
"""Simulations of a quick plan."""


def shown(design: Design, difference: float, prompts: int, method: Method, runs: int) -> float:
    """The share of fresh comparisons that show the claim; normal differences, if not wins."""
    rng, count = np.random.default_rng(7), 0
    names = None if design.independent else [str(i) for i in design.units(prompts)]
    for seed in range(runs):
        if design.sd is None:
            q = float(design.discordance or 0)
            wins = (q + difference) / 2
            outcome = rng.random(prompts)
            if names:  # a cluster fails or wins together
                together = rng.random(prompts)[design.units(prompts)]
                outcome = np.where(rng.random(prompts) < np.sqrt(design.icc), together, outcome)
            values = np.where(outcome < wins, 1.0, np.where(outcome < q, -1.0, 0.0))
            scores = np.where(values == 0, rng.random(prompts) < 0.5, values > 0).astype(float)
        else:
            values = rng.normal(difference, design.sd, prompts).clip(-1, 1)
            scores = (design.level + values / 2).clip(np.maximum(0, values), 1)
        test = SequentialTest(
            design.must, abs(design.bar), cap=prompts, method=method, alpha=design.alpha
        )
        for block in spread_blocks(prompts, prompts if method == "fixed" else 32, seed, names):
            some = [names[i] for i in block] if names else None
            if test.update(values[block], some, scores[block]):
                break
        count += test.passed is True
    return count / runs


@pytest.mark.parametrize(
    ("design", "difference", "method", "runs"),
    [
        (Design(bar=-0.02, sd=0.05, level=0.7), 0.0, "fixed", 1_500),
        (Design(sd=0.05, level=0.7), 0.02, "spend", 1_000),
        (Design(bar=-0.05, discordance=0.02), 0.0, "fixed", 1_500),
        (Design(bar=-0.15, discordance=0.1), 0.0, "spend", 1_500),
        (Design(discordance=0.3), 0.15, "spend", 1_500),
        (Design(bar=-0.15, discordance=0.3, sizes=(4,), icc=0.4), 0.0, "spend", 1_000),
    ],
)
def test_what_is_promised_is_shown(
    design: Design, difference: float, method: Method, runs: int
) -> None:
    plan = prompts_needed(design, difference, method=method, simulations=2_000)
    assert plan.power >= 0.795
    found = shown(design, difference, plan.prompts, method, runs)
    assert found == pytest.approx(plan.power, abs=0.03)


def test_small_spreads_need_the_prompts_that_unseen_failures_need() -> None:
    # The normal formula says 50; with 50, no comparison passes.
    design = Design(bar=-0.02, sd=0.05, level=0.7)
    plan = prompts_needed(design, 0.0, method="fixed", simulations=FEW)
    assert 145 < plan.prompts < 185
    assert simulated_power(design, 0.0, 50, "fixed", simulations=FEW).power == 0
    lower = prompts_needed(Design(bar=-0.02, sd=0.05, level=0.3), 0.0, simulations=FEW)
    assert lower.prompts < plan.prompts


def test_one_test_of_wins_and_losses_is_planned_exactly() -> None:
    plan = prompts_needed(Design(discordance=0.3), 0.15, method="fixed")
    assert plan.error == 0
    assert 0.8 <= plan.power < 0.81
    assert plan.mean == plan.prompts
    before = simulated_power(Design(discordance=0.3), 0.15, plan.prompts - 1, "fixed")
    assert before.power < 0.8


def test_clusters_need_more_prompts_and_few_clusters_are_not_enough() -> None:
    plans = [
        prompts_needed(
            Design(bar=-0.1, discordance=0.3, sizes=(size,), icc=0.4), 0.0, simulations=FEW
        )
        for size in (1, 4)
    ]
    assert plans[1].prompts > 1.8 * plans[0].prompts
    with pytest.raises(ValueError, match=r"out of reach; [\d,]+ prompts reach 0\.\d\d in 12 clust"):
        prompts_needed(
            Design(bar=-0.1, discordance=0.3, clusters=12, icc=0.4), 0.0, simulations=FEW
        )


def test_early_stopping_asks_fewer_prompts() -> None:
    spend, fixed = (
        prompts_needed(Design(bar=-0.1, discordance=0.3), 0.0, method=m, simulations=FEW)
        for m in ("spend", "fixed")
    )
    assert fixed.prompts < spend.prompts < 1.2 * fixed.prompts
    assert spend.mean < 0.85 * fixed.prompts


@pytest.mark.parametrize(
    ("design", "difference", "prompts", "method"),
    [
        (Design(discordance=0.3), 0.1, 245, "fixed"),
        (Design(discordance=0.3), 0.1, 270, "spend"),
        (Design(sd=0.2), 0.05, 140, "spend"),
    ],
)
def test_the_detectable_difference_has_the_power(
    design: Design, difference: float, prompts: int, method: Method
) -> None:
    found = detectable(design, prompts, method=method, simulations=1_600)
    assert found == pytest.approx(difference, rel=0.08)
    assert simulated_power(
        design, found, prompts, method, simulations=1_600
    ).power == pytest.approx(0.8, abs=0.04)


def test_too_few_prompts_detect_nothing() -> None:
    assert detectable(Design(discordance=0.1), 5) is None
    assert detectable(Design(discordance=0.1), 0) is None


@pytest.mark.parametrize(
    ("difference", "wanted", "complaint"),
    [
        (0.0, 0.8, "not beyond"),
        (0.5, 0.8, "discordance"),
        (0.1, 1.0, "power"),
        (1e-9, 0.8, r"out of reach; 1,000,000 prompts reach 0\.0"),
    ],
)
def test_claims_that_cannot_be_shown_are_refused(
    difference: float, wanted: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        prompts_needed(Design(discordance=0.27), difference, wanted, simulations=100)


@pytest.mark.parametrize(
    ("design", "most"),
    [
        (Design(bar=0.0, discordance=0.2), 1_000_000),
        (Design(bar=0.0, sd=0.2), 20_000),
        (Design(bar=0.0, discordance=0.2, sizes=(4,), icc=0.3), 20_000),
    ],
)
def test_suites_too_large_to_simulate_are_refused_at_once(design: Design, most: int) -> None:
    for compute in (
        lambda: simulated_power(design, 0.1, 2_000_000_000),
        lambda: detectable(design, most + 1),
    ):
        with pytest.raises(ValueError, match=f"prompts: expected at most {most:,}"):
            compute()
