"""Scoring a block of answers: every scorer, every example, nothing dropped."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

from llmops.compare.scorers.likelihood import per_token
from llmops.compare.scorers.scorer import Scorer, Unscored
from llmops.errors import DataError, UsageError
from llmops.records import Answer, Example, Likelihood

WORST = 0.0
SHOWN = 3
ROUNDING = 1e-9
"""How far outside [0, 1] a score may lie because of floating-point sums."""


@dataclass(frozen=True)
class Failure:
    """An answer that a scorer could not judge; its score is the worst."""

    scorer: str
    example_id: str
    reason: str


@dataclass(frozen=True)
class Scores:
    """Scores of one side's answers.

    Attributes:
        values: Scorer's name → one score in [0, 1] for each example, in their order.
        failures: Those among them that stand for no judgement.
    """

    values: Mapping[str, tuple[float, ...]]
    failures: tuple[Failure, ...]


def score(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    scorers: Sequence[Scorer],
    likelihoods: Sequence[Likelihood | None] | None = None,
) -> Scores:
    """Scores one side's answers.

    Args:
        examples: A suite, or a block of it.
        answers: One for each example; one that failed has the worst score of every scorer.
        scorers: See ``load_scorers``.
        likelihoods: Of the expected answers under this side, one for each example, ``None`` for
            one that does not fit the context; needed by the scorer ``likelihood``.

    Returns:
        Every score; an answer that a scorer cannot judge (NaN) has the worst, and is listed.

    Raises:
        UsageError: A scorer raised, or left [0, 1]: it is told with the example and the value.
        ValueError: Lengths differ, or likelihoods are needed and absent.
    """
    if likelihoods is None and any(scorer.is_likelihood for scorer in scorers):
        raise ValueError("the scorer `likelihood` needs the likelihoods of the expected answers")
    given = likelihoods if likelihoods is not None else [(0.0, 0)] * len(examples)
    rows = list(zip(examples, answers, given, strict=True))
    values: dict[str, tuple[float, ...]] = {}
    failures: list[Failure] = []
    for scorer in scorers:
        with redirect_stdout(sys.stderr):  # stdout carries the result, maybe for a machine
            judged = [_judged(scorer, *row) for row in rows]
        values[scorer.name] = tuple(WORST if isinstance(j, Failure) else j for j in judged)
        failures += [j for j in judged if isinstance(j, Failure)]
    return Scores(values, tuple(failures))


def require_expected(examples: Sequence[Example], scorers: Sequence[Scorer]) -> None:
    """Refuses a suite that lacks what a scorer reads, before anything is generated.

    Raises:
        DataError: Expected answers are missing; the scorers and the first ids are named.
    """
    needing = [scorer.name for scorer in scorers if scorer.needs_expected]
    missing = [example.id for example in examples if example.expected is None]
    if needing and missing:
        more = ", …" if len(missing) > SHOWN else ""
        raise DataError(
            f"{', '.join(needing)}: an expected answer is needed, and {len(missing)} of"
            f" {len(examples)} examples have none: {', '.join(map(repr, missing[:SHOWN]))}{more}",
            next_command="fill the column `expected`, or choose scorers that do without it",
        )


def _judged(
    scorer: Scorer, example: Example, answer: Answer, likelihoods: Likelihood | None
) -> float | Failure:
    if answer.error is not None:
        return WORST
    try:
        value: object = (
            _likely(likelihoods) if scorer.judge is None else scorer.judge(example, answer.text)
        )
    except Unscored as reason:
        return Failure(scorer.name, example.id, str(reason))
    except (Exception, SystemExit) as error:  # a scorer is anybody's code
        raise UsageError(
            f"scorer {scorer.name!r}: example {example.id!r}:"
            f" raised {type(error).__name__}: {str(error).strip()[:500]}",
            next_command="mend the scorer, or leave it out; answers are kept and not generated again",
        ) from error
    number = float(value) if isinstance(value, (int, float)) else math.inf
    if math.isnan(number):
        return Failure(scorer.name, example.id, "NaN")
    if not -ROUNDING <= number <= 1 + ROUNDING:
        raise UsageError(
            f"scorer {scorer.name!r}: example {example.id!r}: received {value!r:.80},"
            " expected a number in [0, 1]",
            next_command="scale the score, or return NaN where an answer cannot be judged",
        )
    return min(max(number, 0.0), 1.0)


def _likely(likelihoods: Likelihood | None) -> float:
    if likelihoods is None:
        raise Unscored("prompt and expected answer do not fit the context")
    return per_token(*likelihoods)
