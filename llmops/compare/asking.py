"""Asking both sides a block of prompts, and scoring what they say."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.compare.answers import answers, likelihoods
from llmops.compare.scoring import Failure, Likelihood, Scorer, score
from llmops.config import Compare
from llmops.engine.cache import ResultCache
from llmops.engine.local import LocalEngine
from llmops.errors import UsageError
from llmops.records import Answer, Example, ModelFiles, Row, Sampling


class Asking:
    """Two sides and a suite.

    Args:
        sides: Baseline and candidate; they share a base.
        examples: Of the suite.
        judges: Scorers.
        config: Length of answers, rows at once.
        cache: What was generated before is not generated again.

    Attributes:
        likelihoods: Of the expected answers that were asked so far, for each side.
        failures: What could not be judged, for each side.
    """

    def __init__(
        self,
        sides: tuple[ModelFiles, ModelFiles],
        examples: Sequence[Example],
        judges: Sequence[Scorer],
        config: Compare,
        cache: ResultCache,
    ) -> None:
        self._sides, self._examples, self._judges = sides, examples, judges
        self._config, self._cache = config, cache
        self._engine = LocalEngine(sides)
        self.likelihoods: tuple[list[Likelihood], list[Likelihood]] = ([], [])
        self.failures: tuple[list[Failure], list[Failure]] = ([], [])

    def ask(self, indices: Sequence[int]) -> list[Row]:
        """Rows of the examples with these indices, in their order."""
        block = [self._examples[i] for i in indices]
        texts, scores = [], []
        for which, side in enumerate(self._sides):
            said = self._answers(side, block)
            likely = likelihoods(self._engine, side, block, self._cache)
            judged = score(block, said, self._judges, likely)
            self.likelihoods[which].extend(likely)
            self.failures[which].extend(judged.failures)
            texts.append(said)
            scores.append(
                [{name: v[i] for name, v in judged.values.items()} for i in range(len(block))]
            )
        return [Row(*row) for row in zip(block, *texts, *scores, strict=True)]

    def unjudged(self, asked: int) -> tuple[str, ...]:
        """Answers that stand for no judgement: they count as the worst, and are told.

        Args:
            asked: Prompts that each side was asked.

        Raises:
            UsageError: A scorer judged nothing at all, so that its tie would be made up.
        """
        notes = []
        for judge in self._judges:
            failed = [[f for f in side if f.scorer == judge.name] for side in self.failures]
            if all(len(failures) == asked for failures in failed):
                raise UsageError(
                    f"scorer {judge.name!r}: could not judge one answer of either side:"
                    f" {failed[0][0].reason}",
                    next_command="mend the scorer, or leave it out; answers are kept and not generated again",
                )
            notes += [
                f"{judge.name}: {len(failures)} of {asked} answers of {side.label} could not be"
                f" judged and count as 0, such as {failures[0].example_id!r}: {failures[0].reason}"
                for side, failures in zip(self._sides, failed, strict=True)
                if failures
            ]
        return tuple(notes)

    def _answers(self, side: ModelFiles, block: Sequence[Example]) -> list[Answer]:
        return answers(
            self._engine,
            side,
            block,
            Sampling(max_tokens=self._config.max_tokens),
            self._cache,
            batch_size=self._config.batch_size,
        )
