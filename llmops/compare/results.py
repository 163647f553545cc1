"""What was asked of two sides, as the record of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmops.compare import sides
from llmops.compare.answers.blocks import Asking
from llmops.compare.leakage.exclude import both_scores_notes
from llmops.compare.scorers.judge import scorer as judge
from llmops.compare.setup import Setup
from llmops.compare.slices import slice_results
from llmops.compare.stopping import CandidateResult, comparable
from llmops.compare.trajectory import trajectory
from llmops.errors import IntegrityError
from llmops.records import Comparison, Likelihood, Row

PROBES = 8
"""Answers whose likelihoods are compared where all answers are the same."""


def comparison_of(setup: Setup, asking: Asking, result: CandidateResult, which: int) -> Comparison:
    """Build the record of one candidate against the baseline; it has no MLflow run yet.

    Args:
        setup: The comparison.
        asking: Its answers.
        result: What the candidate shows.
        which: The candidate's place among the sides, from 1.

    Raises:
        IntegrityError: See ``compare``.
        LlmopsError: Neither side answered too many of the prompts.
    """
    baseline, candidate = setup.sides[0], setup.sides[which]
    _refuse_silent(setup, asking, result.rows, which)
    notes = (
        *sides.notes(baseline, candidate, result.rows),
        *asking.failed((0, which)),
        *asking.unjudged((0, which)),
        *judge.notes(asking.pairwise[which - 1]),
        *judge.kinship(asking.pairwise[which - 1], (baseline, candidate)),
        result.note,
        *setup.exclusion.notes,
    )
    first = result.metrics[0].metric
    slices = slice_results(comparable(result.rows), first, confidence=setup.plan.confidence)
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        suite_name=setup.suite.name,
        suite_digest=setup.suite.digest,
        metrics=result.metrics,
        rows=result.rows,
        method=setup.plan.method,
        available=result.available,
        nll=_nll(asking.likelihoods[0], asking.likelihoods[which]),
        notes=tuple(note for note in notes if note),
        seconds=0.0,
        run_id="",
        experiment_id="",
        child_run_ids=("", ""),
        slices=(*slices.tested, *slices.too_small),
    )


def with_trained(comparison: Comparison, rows: Sequence[Row]) -> Comparison:
    """Add what a comparison leaves out: the prompts that a side was trained on."""
    notes = both_scores_notes(comparison.rows, rows)
    return replace(comparison, trained=tuple(rows), notes=(*comparison.notes, *notes))


def with_trajectories(comparison: Comparison, question: str) -> Comparison:
    """Add how the interval narrows, of each metric that a report may lead with.

    Args:
        comparison: What was measured.
        question: Metric of the first question, with which a gate's report leads.
    """
    leading = dict.fromkeys((comparison.metrics[0].metric, question))
    found = tuple(trajectory(comparison, metric) for metric in leading)
    return replace(comparison, trajectories=found)


def _refuse_silent(setup: Setup, asking: Asking, rows: Sequence[Row], which: int) -> None:
    """Refuse an adapter that has no effect: it is an accident, not a tie."""
    baseline, candidate = setup.sides[0], setup.sides[which]
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if baseline.digest == candidate.digest or same < len(rows):
        return
    if not asking.differs(which, comparable(rows)[:PROBES]):
        raise IntegrityError(
            f"{candidate.uri} answers and scores exactly like {baseline.uri} on all {same} prompts,"
            " although its bytes differ: the adapter has no effect",
            next_command="train longer (train.epochs), or check that the adapter belongs to this base",
        )


def _nll(
    baseline: Sequence[Likelihood | None], candidate: Sequence[Likelihood | None]
) -> tuple[float, float] | None:
    """Return the negative log-likelihood per token of all expected answers together, in nats."""
    both = [(a, b) for a, b in zip(baseline, candidate, strict=False) if a and b]
    if not both:
        return None
    totals = [
        (sum(total for total, _ in side), sum(tokens for _, tokens in side))
        for side in zip(*both, strict=True)
    ]
    before, after = (-total / tokens for total, tokens in totals)
    return before, after
