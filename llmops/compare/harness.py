"""The A/B harness: one base in memory, both sides answer, every metric is tested in pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from llmops import store
from llmops.compare.answers import answers, likelihoods
from llmops.compare.scorers import TEXT_SCORERS, likelihood
from llmops.compare.suite import load_suite
from llmops.compare.tracking import log_comparison
from llmops.config import Compare
from llmops.engine.cache import ResultCache
from llmops.engine.local import LocalEngine
from llmops.engine.resolve import resolve
from llmops.errors import IntegrityError
from llmops.records import (
    Answer,
    Comparison,
    Example,
    MetricResult,
    ModelFiles,
    Row,
    Sampling,
    Suite,
)
from llmops.stats import paired_test

LIKELIHOOD = "likelihood"
IDENTICAL_ALARM = 0.95
"""Share of byte-identical answers of different adapters above which something may be wrong."""

Likelihood = tuple[float, int]


def compare(
    baseline: str | ModelFiles,
    candidate: str | ModelFiles,
    suite: str | Path | Suite,
    config: Compare | None = None,
) -> Comparison:
    """Compares two versions on held-out prompts and logs the result to MLflow.

    Args:
        baseline: ``models:/name/version``, ``models:/name@alias`` or a registered base.
        candidate: The version that wants to be better.
        suite: Held-out prompts: a file (see ``load_suite``) or a suite.
        config: Scorers, answer length and confidence; the recipe's ``compare`` section.

    Returns:
        Every metric of both sides with its paired test, and every row.

    Raises:
        UsageError: The sides have different bases, or a prompt does not fit the context.
        IntegrityError: Different adapters, yet identical answers and likelihoods throughout.
    """
    config = config or Compare()
    begun = time.monotonic()
    sides = (_files(baseline), _files(candidate))
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    texts, scored = _ask(sides, held_out.examples, config)
    rows = tuple(
        _row(example, (texts[0][i], texts[1][i]), (scored[0][i], scored[1][i]), config.scorers)
        for i, example in enumerate(held_out.examples)
    )
    finished = Comparison(
        baseline=sides[0],
        candidate=sides[1],
        suite_name=held_out.name,
        suite_digest=held_out.digest,
        metrics=tuple(_test(metric, rows, config.confidence) for metric in config.scorers),
        rows=rows,
        nll=(_nll(scored[0]), _nll(scored[1])),
        notes=_notes(sides, rows, scored),
        seconds=time.monotonic() - begun,
        run_id="",
        experiment_id="",
        child_run_ids=("", ""),
    )
    return log_comparison(finished, held_out)


def _files(side: str | ModelFiles) -> ModelFiles:
    if isinstance(side, ModelFiles):
        return side
    store.connect()
    return resolve(side)


def _ask(
    sides: tuple[ModelFiles, ModelFiles], examples: Sequence[Example], config: Compare
) -> tuple[list[list[Answer]], list[list[Likelihood]]]:
    """Answers and likelihoods, side by side; the base is loaded once for both."""
    sampling = Sampling(max_tokens=config.max_tokens)
    engine = LocalEngine(sides)
    with ResultCache() as cache:
        texts = [
            answers(engine, side, examples, sampling, cache, batch_size=config.batch_size)
            for side in sides
        ]
        scored = [likelihoods(engine, side, examples, cache) for side in sides]
    return texts, scored


def _row(
    example: Example,
    texts: tuple[Answer, Answer],
    scored: tuple[Likelihood, Likelihood],
    scorers: Sequence[str],
) -> Row:
    return Row(
        example=example,
        baseline=texts[0],
        candidate=texts[1],
        baseline_scores=_scores(example, texts[0], scored[0], scorers),
        candidate_scores=_scores(example, texts[1], scored[1], scorers),
    )


def _scores(
    example: Example, answer: Answer, scored: Likelihood, scorers: Sequence[str]
) -> dict[str, float]:
    return {
        name: likelihood(*scored)
        if name == LIKELIHOOD
        else TEXT_SCORERS[name](answer.text, example.expected)
        for name in scorers
    }


def _test(metric: str, rows: Sequence[Row], confidence: float) -> MetricResult:
    before = [row.baseline_scores[metric] for row in rows]
    after = [row.candidate_scores[metric] for row in rows]
    return MetricResult(
        metric=metric,
        baseline=sum(before) / len(before),
        candidate=sum(after) / len(after),
        test=paired_test(
            before, after, [row.example.cluster for row in rows], confidence=confidence
        ),
    )


def _nll(scored: Sequence[Likelihood]) -> float:
    """Negative log-likelihood per token, all expected answers together, in nats."""
    return -sum(total for total, _ in scored) / sum(tokens for _, tokens in scored)


def _notes(
    sides: tuple[ModelFiles, ModelFiles], rows: Sequence[Row], scored: list[list[Likelihood]]
) -> tuple[str, ...]:
    """What a reader must know before the numbers.

    Raises:
        IntegrityError: The candidate's adapter had no effect at all.
    """
    baseline, candidate = sides
    if baseline.digest == candidate.digest:
        return (
            f"{candidate.uri} and {baseline.uri} are the same bytes: there is nothing to compare",
        )
    same = sum(row.baseline.text == row.candidate.text for row in rows)
    if same == len(rows) and scored[0] == scored[1]:
        raise IntegrityError(
            f"{candidate.uri} answers and scores exactly like {baseline.uri} on all {same} prompts,"
            " although its bytes differ: the adapter has no effect",
            next_command="train longer (train.epochs), or check that the adapter belongs to this base",
        )
    if same >= IDENTICAL_ALARM * len(rows):
        return (f"{same} of {len(rows)} answers are byte-identical although the adapters differ",)
    return ()
