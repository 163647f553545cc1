"""Answers of all sides to blocks of prompts, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from llmops.compare.answers import cached
from llmops.compare.answers.engines import Engines
from llmops.compare.cache import ResultCache
from llmops.compare.scorers.judge.scorer import pairwise
from llmops.compare.scorers.scorer import Scorer
from llmops.compare.scorers.scoring import Failure, Scores, score
from llmops.engine import Request, Turn
from llmops.errors import LlmopsError, UsageError
from llmops.recipe.schema import Compare
from llmops.records import Answer, Example, Likelihood, Row, Sampling, Side

Item = TypeVar("Item")

FAILED_LIMIT = 0.1
"""Share of prompts without an answer from either side above which a comparison is refused."""
EARLY = 16
"""Failures without any answer after which asking stops: the server is probably down."""


class Repeat(NamedTuple):
    """A prompt and the number of times that it was asked before."""

    example: Example
    repeat: int


def repeated(examples: Sequence[Example], repeats: int) -> list[Repeat]:
    """Return each example ``repeats`` times, every repeat under its own id.

    The repeats of an example stay in its cluster: they are not independent.
    """
    return [
        Repeat(replace(example, id=f"{example.id}~{repeat + 1}") if repeat else example, repeat)
        for repeat in range(repeats)
        for example in examples
    ]


class SuiteAnswers:
    """The answers of all sides to a suite, collected block by block.

    Args:
        sides: All sides, the baseline first.
        prompts: Prompts of the suite, and their repeats.
        scorers: Scorers, including pairwise judges.
        config: Answer length, temperature, engine and batch size.
        cache: Cache of answers and likelihoods.

    Attributes:
        likelihoods: Likelihoods of the expected answers so far, for each side; empty for a side
            that does not compute them.
        failures: Answers that a scorer could not judge, for each side.
        answers: Answers so far, for each side.
        pairwise: Pairwise judges, for each candidate.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        prompts: Sequence[Repeat],
        scorers: Sequence[Scorer],
        config: Compare,
        cache: ResultCache,
    ) -> None:
        self._sides, self._prompts = sides, prompts
        self._scorers = [scorer for scorer in scorers if scorer.asker is None]
        self.pairwise = [pairwise(scorers, cache) for _ in sides[1:]]
        self._config, self._cache = config, cache
        self._engines = Engines(sides, config.batch_size, config.engine)
        self.likelihoods: list[list[Likelihood | None]] = [[] for _ in sides]
        self.failures: list[list[Failure]] = [[] for _ in sides]
        self.answers: list[list[Answer]] = [[] for _ in sides]

    def ask(self, indices: Sequence[int]) -> list[list[Row]]:
        """Ask every side the prompts with these indices, and score the answers.

        Args:
            indices: Indices of prompts that were not asked before.

        Returns:
            Rows of each candidate, in the order of the indices.

        Raises:
            LlmopsError: A side gave no answer at all.
            UsageError: A scorer raised, or returned a score outside [0, 1].
        """
        block = [self._prompts[i].example for i in indices]
        answers = self._answers(indices)
        for which, own in enumerate(answers):
            self.answers[which].extend(own)
        self._refuse_silent()
        scored = self._scored(block, answers)
        return [
            [
                Row(*row)
                for row in zip(
                    block,
                    answers[0],
                    answers[k],
                    *self._judged(k, block, answers, (scored[0], scored[k])),
                    strict=True,
                )
            ]
            for k in range(1, len(self._sides))
        ]

    def _judged(
        self,
        which: int,
        block: Sequence[Example],
        answers: Sequence[Sequence[Answer]],
        scored: tuple[list[dict[str, float]], list[dict[str, float]]],
    ) -> list[list[dict[str, float]]]:
        """Return the scores of baseline and candidate, those of the pairwise judges included."""
        both = [[dict(scores) for scores in side] for side in scored]
        for judge in self.pairwise[which - 1]:
            for i, pair in enumerate(judge.score(block, answers[0], answers[which])):
                for scores, value in zip(both, pair, strict=True):
                    scores[i][judge.name] = value
        return both

    def _answers(self, indices: Sequence[int]) -> list[list[Answer]]:
        """Return the answers of each side; the sides of a prompt are adjacent, to share a batch."""
        requests = [
            Request(
                side, self._prompts[i].example.messages, self._sampling(self._prompts[i].repeat)
            )
            for i in indices
            for side in self._sides
        ]
        kind = "answer" if self._config.engine == "local" else f"answer-{self._config.engine}"
        results = cached.answers(self._engines, requests, self._cache, kind=kind)
        return [results[which :: len(self._sides)] for which in range(len(self._sides))]

    def _sampling(self, repeat: int) -> Sampling:
        """Return the sampling of a repeat; its seed keeps repeats apart in the cache."""
        config = self._config
        if config.temperature == 0:
            return Sampling(max_tokens=config.max_tokens)
        return Sampling(config.max_tokens, config.temperature, seed=repeat)

    def _scored(
        self, block: Sequence[Example], answers: Sequence[Sequence[Answer]]
    ) -> list[list[dict[str, float]]]:
        """Return the scores of each side's answers."""
        likelihoods = self._likelihoods(block)
        scored = []
        for which, own in enumerate(answers):
            scores = score(block, own, self._scorers, likelihoods[which])
            self.failures[which].extend(scores.failures)
            scored.append(_by_row(scores, len(block)))
        return scored

    def _likelihoods(self, block: Sequence[Example]) -> list[list[Likelihood | None] | None]:
        """Return the likelihoods of the expected answers under each side.

        A side that does not compute them has ``None``; so has every side if no scorer needs them.
        """
        if not any(scorer.is_likelihood for scorer in self._scorers):
            return [None] * len(self._sides)
        wanted = [example for example in block if example.expected is not None]
        computing = [side for side in self._sides if self._engines.computes(side)]
        turns = [Turn(side, e.messages, e.expected or "") for side in computing for e in wanted]
        by_side = iter(_parts(cached.likelihoods(self._engines, turns, self._cache), len(wanted)))
        results: list[list[Likelihood | None] | None] = []
        for which, side in enumerate(self._sides):
            if not self._engines.computes(side):
                results.append(None)
                continue
            known = dict(zip((e.id for e in wanted), next(by_side, []), strict=True))
            results.append([known.get(example.id) for example in block])
            self.likelihoods[which].extend(results[-1] or [])
        return results

    def differs(self, which: int, rows: Sequence[Row]) -> bool:
        """Return whether candidate and baseline give any answer a different likelihood.

        Args:
            which: Index of the candidate among the sides.
            rows: Rows whose expected answer, or else the baseline's answer, is scored.
        """
        sides = [
            side for side in (self._sides[0], self._sides[which]) if self._engines.computes(side)
        ]
        if len(sides) < 2:
            return True  # servers compute no likelihood to compare
        turns = [
            Turn(side, row.example.messages, row.example.expected or row.baseline.text)
            for side in sides
            for row in rows
        ]
        first, second = _parts(cached.likelihoods(self._engines, turns, self._cache), len(rows))
        return first != second

    def close(self) -> None:
        """Close the engines."""
        self._engines.close()

    def failed(self, pair: tuple[int, int]) -> tuple[str, ...]:
        """Return notes about the prompts without an answer.

        One missing answer counts as the worst score; a prompt without any answer is left out.

        Args:
            pair: Indices of baseline and candidate among the sides.

        Raises:
            LlmopsError: More than ``FAILED_LIMIT`` of the prompts have no answer from either side.
        """
        answers = [self.answers[which] for which in pair]
        asked = len(answers[0])
        lost = [a for a, b in zip(*answers, strict=True) if a.error and b.error]
        if len(lost) > FAILED_LIMIT * asked:
            raise LlmopsError(
                f"neither side answered {len(lost)} of {asked} prompts, more than"
                f" {FAILED_LIMIT:.0%}: {lost[0].error}",
                next_command="fix the prompts or the sides, then rerun; answers are cached, not generated again",
            )
        notes = [
            f"{self._sides[which].label} did not answer {len(errors)} of {asked} prompts, which count"
            f" as the worst score: {errors[0]}"
            for which, own in zip(pair, answers, strict=True)
            if (errors := [answer.error for answer in own if answer.error])
        ]
        if lost:
            notes.append(
                f"{len(lost)} of {asked} prompts were answered by neither side and are left out"
            )
        return tuple(notes)

    def _refuse_silent(self) -> None:
        """Refuse a side without any answer: a crash must never look like a verdict."""
        for side, own in zip(self._sides, self.answers, strict=True):
            if len(own) < min(EARLY, len(self._prompts)):
                continue
            if all(answer.error for answer in own):
                raise LlmopsError(
                    f"{side.uri}: gave no answer to any of {len(own)} prompts: {own[0].error}",
                    next_command="fix the side, then rerun; the other sides' answers are cached",
                )

    def unjudged(self, pair: tuple[int, int]) -> tuple[str, ...]:
        """Return notes about the answers that a scorer could not judge, which count as 0.

        Args:
            pair: Indices of baseline and candidate among the sides.

        Raises:
            UsageError: A scorer judged no answer of either side, so its ties would be made up.
        """
        notes, asked = [], len(self.answers[pair[0]])
        for scorer in self._scorers:
            failed = [[f for f in self.failures[k] if f.scorer == scorer.name] for k in pair]
            if all(len(failures) == asked for failures in failed):
                raise UsageError(
                    f"scorer {scorer.name!r}: could not judge any answer of either side:"
                    f" {failed[0][0].reason}",
                    next_command="fix the scorer or leave it out, then rerun; answers are cached",
                )
            notes += [
                f"{scorer.name}: {len(failures)} of {asked} answers of {self._sides[k].label} could"
                f" not be judged and count as 0, such as {failures[0].example_id!r}:"
                f" {failures[0].reason}"
                for k, failures in zip(pair, failed, strict=True)
                if failures
            ]
        return tuple(notes)


def _by_row(scores: Scores, rows: int) -> list[dict[str, float]]:
    return [{name: values[i] for name, values in scores.values.items()} for i in range(rows)]


def _parts(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Split a sequence into parts of equal size; there are none if the size is 0."""
    return [list(items[i : i + size]) for i in range(0, len(items), size or 1)]
