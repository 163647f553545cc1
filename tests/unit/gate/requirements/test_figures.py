"""What a decision is made of besides the paired tests of the whole suite."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from policy_figures import BILLING, FLOOR, NO_LOSS, compared, policy

from llmops.gate.requirements.figures import figures_of
from llmops.models.proof.schema import EvidenceRecord
from llmops.records import JudgeControls
from llmops.stats import mean_interval, paired_test

SCORES = [(0.5, 0.9), (0.5, 0.4), (0.7, 0.7), (1.0, 1.0)] * 15


def test_only_what_the_policy_reads_is_computed() -> None:
    found = figures_of(compared(SCORES), policy(NO_LOSS))
    assert found.means == found.slices == ()
    assert found.whole
    assert not found.first
    assert figures_of(compared(SCORES, available=61), policy(), first=True).whole is False


def test_a_floor_has_the_interval_of_the_candidates_own_scores() -> None:
    (mean,) = figures_of(compared(SCORES), policy(FLOOR)).means
    own = [after for _, after in SCORES]
    assert (mean.low, mean.high) == mean_interval(own, [f"c{i}" for i in range(60)])
    assert mean.mean == pytest.approx(0.75)
    assert (mean.n, mean.clusters, mean.slice, mean.confidence) == (60, 60, None, 0.95)


def test_a_slice_reads_its_own_rows() -> None:
    made = compared(SCORES, topics=("billing", "other", "other", "other"))
    (test,) = figures_of(made, policy(BILLING)).slices
    wanted = paired_test([0.5] * 15, [0.9] * 15)
    assert (test.test.n, test.test.difference) == (15, wanted.difference)
    assert test.slice == ("topic", "billing")
    assert -1 < test.best < 0 < test.test.low < test.test.high
    sliced_floor = {**FLOOR, "slice": {"topic": "billing"}}
    (mean,) = figures_of(made, policy(sliced_floor)).means
    assert (mean.n, mean.slice) == (15, ("topic", "billing"))


def test_a_slice_without_rows_and_failed_prompts_leave_no_figure() -> None:
    made = compared(SCORES)
    assert figures_of(made, policy(BILLING)).slices == ()
    gone = replace(made.rows[0].candidate, error="down")
    rows = [replace(row, baseline=gone, candidate=gone) for row in made.rows[:10]]
    found = figures_of(replace(made, rows=(*rows, *made.rows[10:])), policy(FLOOR))
    assert found.means[0].n == 50


def test_tokens_seconds_and_price_are_means_of_the_candidates_answers() -> None:
    budgets = {"usd_per_1000_answers": 1, "usd_per_hour": 3.6}
    spent = figures_of(compared(SCORES), policy(NO_LOSS, budgets=budgets)).spent
    assert (spent.mean_tokens, spent.mean_seconds) == (20.0, 1.5)
    assert spent.usd_per_1000_answers == pytest.approx(1000 * 1.5 * 0.001)


def test_figures_are_read_back_from_the_evidence_as_they_were_written() -> None:
    made = compared(SCORES, topics=("billing", "other"), judges=(JudgeControls("j", ("bad",)),))
    found = figures_of(made, policy(NO_LOSS, FLOOR, BILLING), first=True)
    field = EvidenceRecord.__pydantic_fields__["figures"]
    assert field.default == type(found)(), "evidence of before has none"
    from pydantic import TypeAdapter

    text = json.dumps(asdict(found))
    assert TypeAdapter(type(found)).validate_json(text, strict=True) == found
