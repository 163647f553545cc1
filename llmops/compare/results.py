"""The record of a comparison, built from the answers of two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from llmops.compare import sides
from llmops.compare.answers import cut
from llmops.compare.answers.blocks import SuiteAnswers
from llmops.compare.leakage.exclude import both_scores_notes
from llmops.compare.scorers.judge import scorer as judge
from llmops.compare.setup import Setup
from llmops.compare.slices import looks_to_pay, slice_results
from llmops.compare.stopping import CandidateResult, comparable
from llmops.compare.trajectory import trajectory
from llmops.errors import IntegrityError
from llmops.records import Comparison, Likelihood, Row, SliceResult, SmallSlice

MANY_METRICS = 4
"""Number of metrics from which a note says that each is tested on its own."""
PROBES = 8
"""Number of answers whose likelihoods are compared if both sides gave identical answers."""


def comparison_of(
    setup: Setup, answers: SuiteAnswers, result: CandidateResult, which: int
) -> Comparison:
    """Build the record of one candidate against the baseline; it has no MLflow run yet.

    Args:
        setup: The comparison.
        answers: Answers of all sides.
        result: Rows and tests of the candidate.
        which: Index of the candidate among the sides, from 1.

    Raises:
        IntegrityError: See ``compare``.
        UsageError: A scorer could judge no answer, or a judge gave no verdict.
        LlmopsError: Neither side answered more than a tenth of the prompts.
    """
    baseline, candidate = setup.sides[0], setup.sides[which]
    _refuse_idle_adapter(setup, answers, result.rows, which)
    slices = {m.metric: _slices(setup, result, m.metric) for m in result.metrics}
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        suite_name=setup.suite.name,
        suite_digest=setup.suite.digest,
        metrics=result.metrics,
        rows=result.rows,
        method=setup.plan.method,
        available=result.available,
        nll=_nll(answers.likelihoods[0], answers.likelihoods[which]),
        notes=_notes(setup, answers, result, which),
        seconds=0.0,
        run_id="",
        experiment_id="",
        child_run_ids=("", ""),
        slices=slices.pop(result.metrics[0].metric),
        further_slices=slices,
        judges=judge.controls_of(answers.pairwise[which - 1]),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _notes(
    setup: Setup, answers: SuiteAnswers, result: CandidateResult, which: int
) -> tuple[str, ...]:
    """Return the warnings that a reader needs before the figures."""
    baseline, candidate = setup.sides[0], setup.sides[which]
    notes = (
        *sides.notes(baseline, candidate, result.rows),
        *answers.failed((0, which)),
        *answers.unjudged((0, which)),
        *cut.notes(
            [setup.sides[i].label for i in (0, which)], [answers.answers[i] for i in (0, which)]
        ),
        *judge.notes(answers.pairwise[which - 1]),
        *judge.kinship(answers.pairwise[which - 1], (baseline, candidate)),
        result.note,
        *setup.exclusion.notes,
        _several(len(result.metrics)),
    )
    return tuple(note for note in notes if note)


def _several(metrics: int) -> str:
    """Return the note on many metrics: by chance alone, one of them may seem to differ."""
    if metrics < MANY_METRICS:
        return ""
    return f"{metrics} metrics, each tested on its own: p and CI are not adjusted for one another"


def _slices(
    setup: Setup, result: CandidateResult, metric: str
) -> tuple[SliceResult | SmallSlice, ...]:
    """Return a metric by slice; after an early stop, with an allowance for the looks."""
    found = slice_results(
        comparable(result.rows),
        metric,
        confidence=setup.plan.confidence,
        looks=looks_to_pay(len(result.rows), result.available, setup.plan.block),
    )
    return (*found.tested, *found.too_small)


def with_trained(comparison: Comparison, rows: Sequence[Row]) -> Comparison:
    """Return the comparison with the rows that it leaves out: prompts that a side was trained on."""
    notes = both_scores_notes(comparison.rows, rows)
    return replace(comparison, trained=tuple(rows), notes=(*comparison.notes, *notes))


def with_trajectories(comparison: Comparison, question: str) -> Comparison:
    """Return the comparison with a trajectory of each metric that a report may lead with.

    Args:
        comparison: A finished comparison.
        question: Metric of the first question, with which a gate's report leads.
    """
    leading = dict.fromkeys((comparison.metrics[0].metric, question))
    trajectories = tuple(trajectory(comparison, metric) for metric in leading)
    return replace(comparison, trajectories=trajectories)


def _refuse_idle_adapter(
    setup: Setup, answers: SuiteAnswers, rows: Sequence[Row], which: int
) -> None:
    """Refuse an adapter that changes nothing: that is a mistake, not a tie."""
    baseline, candidate = setup.sides[0], setup.sides[which]
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if same < len(rows):
        return
    if not answers.differs(which, comparable(rows)[:PROBES]):
        raise IntegrityError(
            f"{candidate.uri} gives the same answers and likelihoods as {baseline.uri} on all {same}"
            " prompts, although its bytes differ: the adapter has no effect",
            next_command="train longer (train.epochs), or check that the adapter was trained on this"
            " base",
        )


def _nll(
    baseline: Sequence[Likelihood | None], candidate: Sequence[Likelihood | None]
) -> tuple[float, float] | None:
    """Return the mean negative log-likelihood per token of the expected answers, in nats.

    The mean is over the tokens of all answers that both sides scored: (baseline, candidate).
    """
    both = [(a, b) for a, b in zip(baseline, candidate, strict=False) if a and b]
    if not both:
        return None
    totals = [
        (sum(total for total, _ in side), sum(tokens for _, tokens in side))
        for side in zip(*both, strict=True)
    ]
    before, after = (-total / tokens for total, tokens in totals)
    return before, after
