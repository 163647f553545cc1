"""The A/B harness: one base in memory, both sides answer, every metric is tested in pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from llmops import store
from llmops.compare.asking import Asking
from llmops.compare.looks import look
from llmops.compare.scorers_load import load_scorers
from llmops.compare.scoring import Likelihood, require_expected
from llmops.compare.suite import load_suite
from llmops.compare.tracking import log_comparison
from llmops.config import Compare
from llmops.engine.cache import ResultCache
from llmops.engine.resolve import resolve
from llmops.errors import IntegrityError
from llmops.records import Comparison, ModelFiles, Row, Suite
from llmops.stats.result import Method

BLOCK = 32
LIKELIHOOD = "likelihood"
IDENTICAL_ALARM = 0.95
"""Share of byte-identical answers of different adapters above which something may be wrong."""


def compare(
    baseline: str | ModelFiles,
    candidate: str | ModelFiles,
    suite: str | Path | Suite,
    config: Compare | None = None,
    *,
    scorers: Sequence[str] | None = None,
    method: Method = "fixed",
    block: int = BLOCK,
) -> Comparison:
    """Compares two versions on held-out prompts and logs the result to MLflow.

    Args:
        baseline: ``models:/name/version``, ``models:/name@alias`` or a registered base.
        candidate: The version that wants to be better.
        suite: Held-out prompts: a file (see ``load_suite``) or a suite.
        config: Scorers, answer length and confidence; the recipe's ``compare`` section.
        scorers: In place of those of ``config``; may name modules, which are imported.
        method: ``fixed`` asks every prompt; ``hybrid``, ``obf`` and ``anytime`` stop when the first
            scorer is decided, see ``llmops.stats.sequential``.
        block: Prompts between two looks of a method that stops early.

    Returns:
        Every metric of both sides with its paired test, and every row.

    Raises:
        UsageError: The sides have different bases, a prompt does not fit the context, or a
            scorer could judge nothing.
        DataError: An example has no expected answer.
        IntegrityError: Different adapters, yet identical answers and likelihoods throughout.
    """
    config = config or Compare()
    begun = time.monotonic()
    sides = (_files(baseline), _files(candidate))
    held_out = suite if isinstance(suite, Suite) else load_suite(suite)
    judges = load_scorers(scorers or config.scorers, code=scorers is not None)
    # The likelihood is always computed: the NLL is shown whichever scorers are chosen.
    require_expected(held_out.examples, (*judges, *load_scorers([LIKELIHOOD])))
    with ResultCache() as cache:
        asking = Asking(sides, held_out.examples, judges, config, cache)
        looked = look(
            asking.ask,
            held_out,
            [judge.name for judge in judges],
            (sides[0].digest, sides[1].digest),
            method=method,
            block=block,
            confidence=config.confidence,
        )
    rows, scored = looked.rows, asking.likelihoods
    told = (*_notes(sides, rows, scored), *asking.unjudged(len(rows)), looked.note)
    finished = Comparison(
        baseline=sides[0],
        candidate=sides[1],
        suite_name=held_out.name,
        suite_digest=held_out.digest,
        metrics=looked.metrics,
        rows=rows,
        nll=(_nll(scored[0]), _nll(scored[1])),
        notes=tuple(note for note in told if note),
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


def _nll(scored: Sequence[Likelihood]) -> float:
    """Negative log-likelihood per token, all expected answers together, in nats."""
    return -sum(total for total, _ in scored) / sum(tokens for _, tokens in scored)


def _notes(
    sides: tuple[ModelFiles, ModelFiles],
    rows: Sequence[Row],
    scored: Sequence[Sequence[Likelihood]],
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
