"""Scoring of a block of answers: one score of every scorer for every example."""

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
"""Score of a failed answer, and of one that a scorer cannot judge."""
SHOWN = 3
"""Ids that an error lists."""
ROUNDING = 1e-9
"""Tolerated distance of a score from [0, 1], for floating-point sums."""


@dataclass(frozen=True)
class Failure:
    """An answer that a scorer could not judge, and so has the worst score.

    Attributes:
        scorer: Name of the scorer.
        example_id: Id of the example.
        reason: Reason given by the scorer, or ``NaN``.
    """

    scorer: str
    example_id: str
    reason: str


@dataclass(frozen=True)
class Scores:
    """Scores of one side's answers.

    Attributes:
        values: Name of the scorer → one score in [0, 1] for each example, in their order.
        failures: Answers that a scorer could not judge.
    """

    values: Mapping[str, tuple[float, ...]]
    failures: tuple[Failure, ...]


def score(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    scorers: Sequence[Scorer],
    likelihoods: Sequence[Likelihood | None] | None = None,
) -> Scores:
    """Score the answers of one side.

    Args:
        examples: Examples of a suite, or of a block of it.
        answers: One answer for each example; a failed answer has the worst score of every scorer.
        scorers: Scorers from ``load_scorers``.
        likelihoods: Likelihood of each expected answer under this side, ``None`` for one that
            does not fit the context. Required by the scorer ``likelihood``.

    Returns:
        All scores. An answer that a scorer cannot judge has the worst score and is listed.

    Raises:
        UsageError: A scorer raised an exception or returned a number outside [0, 1].
        ValueError: The lengths differ, or required likelihoods are missing.

    Example:
        from llmops.compare import load_suite
        from llmops.compare.scorers import load_scorers, score
        from llmops.records import Answer

        suite = load_suite("suite.jsonl")
        answers = [Answer("Yes.", 2, 9, "stop") for _ in suite.examples]
        scores = score(suite.examples, answers, load_scorers(["token_f1"]))
        print(scores.values["token_f1"])
    """
    if likelihoods is None and any(scorer.is_likelihood for scorer in scorers):
        raise ValueError("the scorer `likelihood` needs the likelihoods of the expected answers")
    given = likelihoods if likelihoods is not None else [(0.0, 0)] * len(examples)
    rows = list(zip(examples, answers, given, strict=True))
    values: dict[str, tuple[float, ...]] = {}
    failures: list[Failure] = []
    for scorer in scorers:
        with redirect_stdout(sys.stderr):  # stdout is reserved for the result
            judged = [_judged(scorer, *row) for row in rows]
        values[scorer.name] = tuple(WORST if isinstance(j, Failure) else j for j in judged)
        failures += [j for j in judged if isinstance(j, Failure)]
    return Scores(values, tuple(failures))


def require_expected(examples: Sequence[Example], scorers: Sequence[Scorer]) -> None:
    """Check, before generation, that every example has an expected answer if a scorer needs it.

    Args:
        examples: Examples of a suite.
        scorers: Scorers from ``load_scorers``.

    Raises:
        DataError: Expected answers are missing; the message names the scorers and the first ids.

    Example:
        from llmops.compare import load_suite
        from llmops.compare.scorers import load_scorers, require_expected

        require_expected(load_suite("suite.jsonl").examples, load_scorers(["exact"]))
    """
    needing = [scorer.name for scorer in scorers if scorer.needs_expected]
    missing = [example.id for example in examples if example.expected is None]
    if needing and missing:
        more = ", …" if len(missing) > SHOWN else ""
        raise DataError(
            f"{', '.join(needing)}: need an expected answer, which {len(missing)} of"
            f" {len(examples)} examples lack: {', '.join(map(repr, missing[:SHOWN]))}{more}",
            next_command="fill the column `expected`, or choose scorers that do not need it",
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
    except (Exception, SystemExit) as error:  # a scorer may be any user's code
        raise UsageError(
            f"scorer {scorer.name!r}: example {example.id!r}:"
            f" raised {type(error).__name__}: {str(error).strip()[:500]}",
            next_command="fix the scorer or leave it out, then rerun: answers are cached",
        ) from error
    number = float(value) if isinstance(value, (int, float)) else math.inf
    if math.isnan(number):
        return Failure(scorer.name, example.id, "NaN")
    if not -ROUNDING <= number <= 1 + ROUNDING:
        raise UsageError(
            f"scorer {scorer.name!r}: example {example.id!r}: received {value!r:.80},"
            " expected a number in [0, 1]",
            next_command="scale the score, or return NaN for an answer that cannot be judged",
        )
    return min(max(number, 0.0), 1.0)


def _likely(likelihoods: Likelihood | None) -> float:
    if likelihoods is None:
        raise Unscored("prompt and expected answer do not fit the context")
    return per_token(*likelihoods)
