"""Asking all sides a block of prompts, and scoring what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from llmops.compare.answers.cached import answers, likelihoods
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
"""Share of prompts without an answer from any side, above which a comparison says nothing."""
EARLY = 16
"""So many failures and no answer: a server that is down need not be asked everything."""


class Repeat(NamedTuple):
    """A prompt, asked for the n-th time."""

    example: Example
    repeat: int


def repeated(examples: Sequence[Example], repeats: int) -> list[Repeat]:
    """Each prompt so many times, under an id of its own; its answers are one cluster."""
    return [
        Repeat(replace(one, id=f"{one.id}~{repeat + 1}") if repeat else one, repeat)
        for repeat in range(repeats)
        for one in examples
    ]


class Asking:
    """Sides and a suite.

    Args:
        sides: The baseline first.
        prompts: Of the suite, and repeats of them.
        judges: Scorers.
        config: Length of answers, rows at once.
        cache: What was generated before is not generated again.

    Attributes:
        likelihoods: Of the expected answers that were asked so far, for each side whose weights
            are here.
        failures: What could not be judged, for each side.
        answers: Answers so far, for each side.
        pairwise: Judges of pairs, for each candidate.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        prompts: Sequence[Repeat],
        judges: Sequence[Scorer],
        config: Compare,
        cache: ResultCache,
    ) -> None:
        self._sides, self._prompts = sides, prompts
        self._judges = [judge for judge in judges if judge.asker is None]
        self.pairwise = [pairwise(judges, cache) for _ in sides[1:]]
        self._config, self._cache = config, cache
        self._engines = Engines(sides, config.batch_size, config.engine)
        self.likelihoods: list[list[Likelihood | None]] = [[] for _ in sides]
        self.failures: list[list[Failure]] = [[] for _ in sides]
        self.answers: list[list[Answer]] = [[] for _ in sides]

    def ask(self, indices: Sequence[int]) -> list[list[Row]]:
        """Rows of the examples with these indices, in their order, for each candidate.

        Raises:
            LlmopsError: A side gave no answer at all, or no side did to too many prompts.
            UsageError: A scorer raised, or left [0, 1].
        """
        block = [self._prompts[i].example for i in indices]
        said = self._answers(indices)
        for which, answered in enumerate(said):
            self.answers[which].extend(answered)
        self._refuse_silent()
        scored = self._scored(block, said)
        return [
            [
                Row(*row)
                for row in zip(
                    block,
                    said[0],
                    said[k],
                    *self._judged(k, block, said, (scored[0], scored[k])),
                    strict=True,
                )
            ]
            for k in range(1, len(self._sides))
        ]

    def _judged(
        self,
        which: int,
        block: Sequence[Example],
        said: Sequence[Sequence[Answer]],
        scored: tuple[list[dict[str, float]], list[dict[str, float]]],
    ) -> list[list[dict[str, float]]]:
        """Scores of the baseline and of one candidate, with what judges say of the two."""
        found = [[dict(scores) for scores in side] for side in scored]
        for judge in self.pairwise[which - 1]:
            for i, pair in enumerate(judge.score(block, said[0], said[which])):
                for scores, given in zip(found, pair, strict=True):
                    scores[i][judge.name] = given
        return found

    def _answers(self, indices: Sequence[int]) -> list[list[Answer]]:
        """Of each side, to each example; a prompt's sides are neighbours, which go well together."""
        requests = [
            Request(
                side, self._prompts[i].example.messages, self._sampling(self._prompts[i].repeat)
            )
            for i in indices
            for side in self._sides
        ]
        kind = "answer" if self._config.engine == "local" else f"answer-{self._config.engine}"
        given = answers(self._engines, requests, self._cache, kind=kind)
        return [given[which :: len(self._sides)] for which in range(len(self._sides))]

    def _sampling(self, repeat: int) -> Sampling:
        """A repeat differs by its seed, so that the cache keeps it apart."""
        config = self._config
        if config.temperature == 0:
            return Sampling(max_tokens=config.max_tokens)
        return Sampling(config.max_tokens, config.temperature, seed=repeat)

    def _scored(
        self, block: Sequence[Example], said: Sequence[Sequence[Answer]]
    ) -> list[list[dict[str, float]]]:
        """Scores of each side's answers."""
        likely = self._likelihoods(block)
        scored = []
        for which, answered in enumerate(said):
            judged = score(block, answered, self._judges, likely[which])
            self.failures[which].extend(judged.failures)
            scored.append(_by_row(judged, len(block)))
        return scored

    def _likelihoods(self, block: Sequence[Example]) -> list[list[Likelihood | None] | None]:
        """Of each side; ``None`` for one whose weights are elsewhere, or if no scorer reads them."""
        if not any(judge.is_likelihood for judge in self._judges):
            return [None] * len(self._sides)
        wanted = [example for example in block if example.expected is not None]
        here = [side for side in self._sides if self._engines.computes(side)]
        turns = [Turn(side, e.messages, e.expected or "") for side in here for e in wanted]
        found = iter(_parts(likelihoods(self._engines, turns, self._cache), len(wanted)))
        results: list[list[Likelihood | None] | None] = []
        for which, side in enumerate(self._sides):
            if not self._engines.computes(side):
                results.append(None)
                continue
            known = dict(zip((e.id for e in wanted), next(found, []), strict=True))
            results.append([known.get(example.id) for example in block])
            self.likelihoods[which].extend(results[-1] or [])
        return results

    def differs(self, which: int, rows: Sequence[Row]) -> bool:
        """Whether a candidate finds any of some answers more or less likely than the baseline does.

        Args:
            which: The candidate's place among the sides.
            rows: Whose expected answers, or else the baseline's, are looked at.
        """
        sides = [
            side for side in (self._sides[0], self._sides[which]) if self._engines.computes(side)
        ]
        if len(sides) < 2:
            return True  # two servers may well say the same
        turns = [
            Turn(side, row.example.messages, row.example.expected or row.baseline.text)
            for side in sides
            for row in rows
        ]
        first, second = _parts(likelihoods(self._engines, turns, self._cache), len(rows))
        return first != second

    def close(self) -> None:
        """Ends what was started to answer."""
        self._engines.close()

    def failed(self, pair: tuple[int, int]) -> tuple[str, ...]:
        """Prompts without an answer: worst score for one side, left out for both; all are told.

        Args:
            pair: Which sides are compared.

        Raises:
            LlmopsError: Too many to compare the rest.
        """
        said = [(self._sides[which].label, self.answers[which]) for which in pair]
        asked = len(said[0][1])
        lost = [
            a for a, b in zip(*(answers for _, answers in said), strict=True) if a.error and b.error
        ]
        if len(lost) > FAILED_LIMIT * asked:
            raise LlmopsError(
                f"neither side answered {len(lost)} of {asked} prompts, more than"
                f" {FAILED_LIMIT:.0%}: {lost[0].error}",
                next_command="mend the prompts or the sides; answers are kept, not generated again",
            )
        notes = [
            f"{len(errors)} of {asked} prompts got no answer from {label} and count as the worst"
            f" score: {errors[0]}"
            for label, answered in said
            if (errors := [answer.error for answer in answered if answer.error])
        ]
        if lost:
            notes.append(f"{len(lost)} of {asked} prompts got no answer from either: left out")
        return tuple(notes)

    def _refuse_silent(self) -> None:
        """A crash must never look like a verdict."""
        for side, answered in zip(self._sides, self.answers, strict=True):
            if len(answered) < min(EARLY, len(self._prompts)):
                continue
            if all(answer.error for answer in answered):
                raise LlmopsError(
                    f"{side.uri}: gave no answer to any of {len(answered)} prompts:"
                    f" {answered[0].error}",
                    next_command="mend the side; what others answered is kept, not generated again",
                )

    def unjudged(self, pair: tuple[int, int]) -> tuple[str, ...]:
        """Answers that stand for no judgement: they count as the worst, and are told.

        Args:
            pair: Which sides are compared.

        Raises:
            UsageError: A scorer judged nothing at all, so that its tie would be made up.
        """
        notes, asked = [], len(self.answers[pair[0]])
        for judge in self._judges:
            failed = [[f for f in self.failures[k] if f.scorer == judge.name] for k in pair]
            if all(len(failures) == asked for failures in failed):
                raise UsageError(
                    f"scorer {judge.name!r}: could not judge one answer of either side:"
                    f" {failed[0][0].reason}",
                    next_command="mend the scorer, or leave it out; answers are kept and not generated again",
                )
            notes += [
                f"{judge.name}: {len(failures)} of {asked} answers of {self._sides[k].label} could"
                f" not be judged and count as 0, such as {failures[0].example_id!r}:"
                f" {failures[0].reason}"
                for k, failures in zip(pair, failed, strict=True)
                if failures
            ]
        return tuple(notes)


def _by_row(judged: Scores, rows: int) -> list[dict[str, float]]:
    return [{name: values[i] for name, values in judged.values.items()} for i in range(rows)]


def _parts(items: Sequence[Item], size: int) -> list[list[Item]]:
    """A sequence cut into parts of one size; none if the size is 0."""
    return [list(items[i : i + size]) for i in range(0, len(items), size or 1)]
