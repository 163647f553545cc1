"""The A/B harness: sides that share a base share one engine, every metric is tested in pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from llmops.compare import sides as side
from llmops.compare.answers.blocks import Asking, repeated
from llmops.compare.cache import MEMORY, ResultCache
from llmops.compare.leakage import exclude
from llmops.compare.scorers.judge import scorer
from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import Scorer, require_expected
from llmops.compare.slices import slice_results
from llmops.compare.stopping import Looked, Plan, counted, look
from llmops.compare.suite.load import load_suite
from llmops.compare.tracking.runs import log_comparisons
from llmops.errors import IntegrityError, UsageError
from llmops.recipe.engine_names import ENGINES
from llmops.recipe.schema import Compare, Requirement
from llmops.records import Comparison, Likelihood, ModelFiles, Row, Side, Suite
from llmops.stats.plan import seed_of

BLOCK = 32
MOST_SIDES = 26
PROBES = 8
"""Answers whose likelihoods are compared where all answers are the same."""


class Sitting(NamedTuple):
    """What was asked of all sides, before it is written down."""

    sides: list[Side]
    suite: Suite
    asking: Asking
    looked: list[Looked]


def compare(
    baseline: str | Side,
    candidate: str | Side,
    suite: str | Path | Suite,
    config: Compare | None = None,
    *,
    scorers: Sequence[str] | None = None,
    questions: Sequence[Requirement] = (),
    min_prompts: int = 0,
    block: int = BLOCK,
    cache: bool = True,
) -> Comparison:
    """Compares two sides on held-out prompts and logs the result to MLflow.

    Args:
        baseline: ``models:/name/version``, ``models:/name@alias``, ``models:/m-…``, ``runs:/…``, a
            registered base, or ``openai:URL#MODEL``.
        candidate: The side that wants to be better.
        suite: Held-out prompts: a file (see ``load_suite``) or a suite.
        config: Scorers, method, answer length and confidence; the recipe's ``compare`` section.
        scorers: In place of those of ``config``; may name modules, which are imported.
        questions: A method that stops early goes on until these are decided; by default, until
            the first scorer shows that the candidate is better, or that it is worse.
        min_prompts: It does not stop before.
        block: Prompts between two looks.
        cache: Whether answers of earlier comparisons are taken, and new ones kept.

    Returns:
        Every metric of both sides with its paired test, and every row.

    Raises:
        UsageError: A scorer could judge nothing, or needs what a side does not have; a question is
            about no scorer.
        DataError: An example has no expected answer.
        IntegrityError: Different adapters, yet identical answers and likelihoods throughout.
        LlmopsError: A side gave no answer at all, or neither did to too many prompts.
    """
    (found,) = compare_all(
        baseline,
        [candidate],
        suite,
        config,
        scorers=scorers,
        questions=questions,
        min_prompts=min_prompts,
        block=block,
        cache=cache,
    )
    return found


def compare_all(
    baseline: str | Side,
    candidates: Sequence[str | Side],
    suite: str | Path | Suite,
    config: Compare | None = None,
    *,
    scorers: Sequence[str] | None = None,
    questions: Sequence[Requirement] = (),
    min_prompts: int = 0,
    block: int = BLOCK,
    cache: bool = True,
) -> tuple[Comparison, ...]:
    """Compares several candidates with one baseline, all in one sitting; see ``compare``.

    Their intervals hold together: each has the confidence that Bonferroni's correction needs.

    Raises:
        UsageError: As for ``compare``, or two of several sides are the same version.
    """
    config, begun = config or Compare(), time.monotonic()
    if not 1 <= len(candidates) < MOST_SIDES:
        raise UsageError(f"{len(candidates)} candidates; allowed: 1 to {MOST_SIDES - 1}")
    judges = load_scorers(scorers or config.scorers, code=scorers is not None)
    _require_scored(questions, judges)
    chosen = side.told_apart([side.side_of(one) for one in (baseline, *candidates)])
    if len(candidates) > 1:
        side.require_different(chosen, (baseline, *candidates))
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    require_expected(held_out.examples, judges)
    _require_weights(chosen, judges, config)
    parts = exclude.split(chosen, held_out)
    fresh, known = (repeated(part, config.repeats) for part in (parts.fresh, parts.trained))
    plan = Plan(
        config.method,
        block,
        config.confidence,
        tuple(questions) or (Requirement(metric=judges[0].name, must="improve"),),
        min_prompts,
        seed_of(held_out.digest, *(one.digest for one in chosen)),
    )
    with (
        ResultCache(None if cache else MEMORY) as results,
        closing(Asking(chosen, [*fresh, *known], judges, config, results)) as asking,
    ):
        names = [judge.name for judge in judges]
        looked = look(asking.ask, [one.example for one in fresh], names, plan, len(candidates))
        sitting = Sitting(chosen, held_out, asking, looked)
        found = [_result(sitting, k, plan, parts) for k in range(len(looked))]
        if known:
            rest = asking.ask(range(len(fresh), len(fresh) + len(known)))
            found = [_with(one, rows) for one, rows in zip(found, rest, strict=True)]
    seconds = time.monotonic() - begun
    found = [replace(one, seconds=seconds) for one in found]
    return log_comparisons(found, held_out, _settings(config, judges), traces=config.traces)


def _settings(config: Compare, judges: Sequence[Scorer]) -> dict[str, object]:
    """What decides a result besides the sides and the suite."""
    names = ("method", "confidence", "engine", "max_tokens", "temperature", "repeats")
    return {
        **{name: getattr(config, name) for name in names},
        "scorers": " ".join(judge.spec for judge in judges),
    }


def _result(sitting: Sitting, which: int, plan: Plan, parts: exclude.Split) -> Comparison:
    """One candidate against the baseline."""
    baseline, candidate = sitting.sides[0], sitting.sides[which + 1]
    looked, asking = sitting.looked[which], sitting.asking
    scored = (asking.likelihoods[0], asking.likelihoods[which + 1])
    _refuse_silent(sitting, which)
    told = (
        *side.notes(baseline, candidate, looked.rows),
        *asking.failed((0, which + 1)),
        *asking.unjudged((0, which + 1)),
        *scorer.notes(asking.pairwise[which]),
        *scorer.kinship(asking.pairwise[which], (baseline, candidate)),
        looked.note,
        *parts.notes,
    )
    sliced = slice_results(
        counted(looked.rows), looked.metrics[0].metric, confidence=plan.confidence
    )
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        suite_name=sitting.suite.name,
        suite_digest=sitting.suite.digest,
        metrics=looked.metrics,
        rows=looked.rows,
        method=plan.method,
        available=looked.available,
        nll=_nll(*scored),
        notes=tuple(note for note in told if note),
        seconds=0.0,
        run_id="",
        experiment_id="",
        child_run_ids=("", ""),
        slices=(*sliced.tested, *sliced.too_small),
    )


def _with(comparison: Comparison, rows: Sequence[Row]) -> Comparison:
    """A comparison that shows what it leaves out: the prompts that were trained on."""
    told = exclude.both_scores(comparison.rows, rows)
    return replace(comparison, trained=tuple(rows), notes=(*comparison.notes, *told))


def _require_scored(questions: Sequence[Requirement], judges: Sequence[Scorer]) -> None:
    """Refuses a question that nothing would answer."""
    names = [judge.name for judge in judges]
    for question in questions:
        if question.metric not in names:
            raise UsageError(
                f"question about {question.metric!r}: no scorer of this name; there are"
                f" {', '.join(names)}"
            )


def _require_weights(chosen: Sequence[Side], judges: Sequence[Scorer], config: Compare) -> None:
    """Refuses a likelihood where only answers can be had."""
    absent = [one.uri for one in chosen if not isinstance(one, ModelFiles)]
    absent += [] if ENGINES[config.engine].likelihood else [f"engine {config.engine}"]
    if absent and any(judge.is_likelihood for judge in judges):
        others = [judge.spec for judge in judges if not judge.is_likelihood] or ["token_f1"]
        raise UsageError(
            f"scorer likelihood: {absent[0]} gives answers, not the likelihood of one",
            next_command=" ".join(f"--scorer {spec}" for spec in others),
        )


def _refuse_silent(sitting: Sitting, which: int) -> None:
    """An adapter that has no effect is an accident, not a tie."""
    baseline, candidate = sitting.sides[0], sitting.sides[which + 1]
    rows = sitting.looked[which].rows
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if baseline.digest == candidate.digest or same < len(rows):
        return
    if not sitting.asking.differs(which + 1, counted(rows)[:PROBES]):
        raise IntegrityError(
            f"{candidate.uri} answers and scores exactly like {baseline.uri} on all {same} prompts,"
            " although its bytes differ: the adapter has no effect",
            next_command="train longer (train.epochs), or check that the adapter belongs to this base",
        )


def _nll(
    baseline: Sequence[Likelihood | None], candidate: Sequence[Likelihood | None]
) -> tuple[float, float] | None:
    """Negative log-likelihood per token, all expected answers of both together, in nats."""
    both = [(a, b) for a, b in zip(baseline, candidate, strict=False) if a and b]
    if not both:
        return None
    totals = [
        (sum(total for total, _ in of), sum(n for _, n in of)) for of in zip(*both, strict=True)
    ]
    before, after = (-total / tokens for total, tokens in totals)
    return before, after
