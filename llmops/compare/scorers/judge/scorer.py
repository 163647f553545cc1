"""A pairwise judge as a scorer: a win scores 1 and a tie 0.5, so the mean is the win rate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from llmops.compare.cache import ResultCache
from llmops.compare.scorers.judge.askers import Asker
from llmops.compare.scorers.judge.controls import controls
from llmops.compare.scorers.judge.pairs import Judged, Kind, Outcome, compare_pairs
from llmops.compare.scorers.scorer import Scorer
from llmops.errors import UsageError
from llmops.records import Answer, Example, JudgeControls, ModelFiles, RemoteModel, Side
from llmops.stats.length import LEAST_RAW, MOST_RAW, length_adjusted

SAMPLE = 20
"""Examples of each control: the judge's replies are the slowest part of a comparison."""

Scored = list[tuple[float, float]]
"""Scores of (baseline, candidate) on each example."""


class Pairwise:
    """A judge's verdicts on a candidate against the baseline, collected block by block.

    Args:
        scorer: Scorer that names the judge.
        asker: Model that judges.
        cache: Cache of replies.

    Attributes:
        name: Name of the scorer.
        failures: Which controls the judge failed, one sentence each; known once ``notes`` were read.
    """

    def __init__(self, scorer: Scorer, asker: Asker, cache: ResultCache) -> None:
        self.name, self._asker, self._cache = scorer.name, asker, cache
        self._seen: list[tuple[Example, Answer, Answer]] = []
        self._outcomes: list[Outcome] = []
        self.failures: tuple[str, ...] = ()

    def is_kin(self, side: Side) -> bool:
        """Return whether the judge is the side itself, or has the same base model."""
        judge = self._asker.side
        if isinstance(judge, ModelFiles) and isinstance(side, ModelFiles):
            return judge.base.digest == side.base.digest
        return isinstance(side, RemoteModel) and self._asker.name == side.label

    def score(
        self, block: Sequence[Example], baseline: Sequence[Answer], candidate: Sequence[Answer]
    ) -> Scored:
        """Ask about a block in both orders, and return the scores; see ``compare_pairs``."""
        judged = compare_pairs(self._asker, block, baseline, candidate, self._cache)
        self._seen += zip(block, baseline, candidate, strict=True)
        self._outcomes += judged.outcomes
        return list(zip(*judged.scores, strict=True))

    def notes(self) -> tuple[str, ...]:
        """Return what the judge's verdicts are worth: position bias, length bias, controls.

        Raises:
            UsageError: The judge gave no verdict at all, so its ties would be made up.
            ServeError: The judge's server does not answer.
        """
        judged = Judged(self._asker.name, self._asker.digest, tuple(self._outcomes))
        failed = judged.count(Kind.FAILURE)
        asked = failed + judged.count(Kind.AGREE) + judged.count(Kind.DISAGREE)
        if asked and failed == asked:
            raise UsageError(
                f"scorer {self.name!r}: the judge {self._asker.name} gave no verdict on any of"
                f" {asked} pairs: {judged.failed[0]}",
                next_command="check the judge or choose another, then rerun; the sides' answers are"
                " cached",
            )
        return (self._summary(judged, asked), *self._length(judged), *self._controls(judged))

    def _summary(self, judged: Judged, asked: int) -> str:
        return (
            f"{self.name}: {asked} of {len(self._outcomes)} pairs were judged in both orders;"
            f" {judged.count(Kind.DISAGREE)} contradicted themselves and"
            f" {judged.count(Kind.FAILURE)} had no verdict, which count as ties"
        )

    def _length(self, judged: Judged) -> tuple[str, ...]:
        """Describe the raw win rate, and the win rate at equal length if it is reliable."""
        sizes = [(len(before.text), len(after.text)) for _, before, after in self._seen]
        rates = length_adjusted(
            judged.preferences, [before for before, _ in sizes], [after for _, after in sizes]
        )
        longer = f"the candidate's answer is longer in {rates.candidate_longer:.0%} of the pairs"
        if not rates.is_reliable:
            return (
                f"{self.name}: win rate {rates.raw:.3f} ({longer}); no win rate at equal length,"
                f" which would extrapolate outside {LEAST_RAW:g} to {MOST_RAW:g}",
            )
        note = f"{self.name}: win rate {rates.raw:.3f}, at equal length {rates.adjusted:.3f} ({longer})"
        return (f"{note}: length alone decides the winner" if rates.contradicts else note,)

    def _controls(self, judged: Judged) -> tuple[str, ...]:
        answered = [(e, after) for e, _, after in self._seen if after.error is None]
        examples, answers = zip(*answered, strict=True) if answered else ((), ())
        checked = controls(
            self._asker, examples, answers, self._cache, judged=judged, sample=SAMPLE
        )
        self.failures = checked.warnings
        return tuple(f"{self.name}: {warning}" for warning in checked.warnings)


def pairwise(judges: Sequence[Scorer], cache: ResultCache) -> list[Pairwise]:
    """Return a ``Pairwise`` for each scorer that is a pairwise judge.

    Args:
        judges: Scorers of any kind.
        cache: Cache of replies.
    """
    return [Pairwise(scorer, scorer.asker, cache) for scorer in judges if scorer.asker is not None]


def kinship(judges: Sequence[Pairwise], sides: Sequence[Side]) -> tuple[str, ...]:
    """Return warnings about judges that judge their own model, whose answers they tend to prefer.

    See Panickssery, Bowman & Feng 2024, arXiv:2404.13076.
    """
    warnings = []
    for judge in judges:
        own = [side.label for side in sides if judge.is_kin(side)]
        if own:
            warnings.append(
                f"{judge.name}: the judge has the same model as {' and '.join(own)}; models tend to"
                " prefer their own answers"
            )
    return tuple(warnings)


def notes(judges: Sequence[Pairwise]) -> tuple[str, ...]:
    """Return the notes of all judges of a candidate; see ``Pairwise.notes``."""
    return tuple(chain.from_iterable(judge.notes() for judge in judges))


def controls_of(judges: Sequence[Pairwise]) -> tuple[JudgeControls, ...]:
    """Return the controls of all judges of a candidate, whose notes were read."""
    return tuple(JudgeControls(judge.name, judge.failures) for judge in judges)
