"""A pairwise judge as a scorer: a win is 1, a tie 0.5, so that its mean is the win rate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from llmops.compare.cache import ResultCache
from llmops.compare.scorers.judge.askers import Asker
from llmops.compare.scorers.judge.controls import controls
from llmops.compare.scorers.judge.pairs import Judged, Kind, Outcome, compare_pairs
from llmops.compare.scorers.scorer import Scorer
from llmops.errors import UsageError
from llmops.records import Answer, Example, ModelFiles, RemoteModel, Side
from llmops.stats.length import length_adjusted

SAMPLE = 20
"""Examples for each control: a judge's replies are what a comparison waits for longest."""

Scored = list[tuple[float, float]]
"""Score of the baseline and of the candidate, for each example."""


class Pairwise:
    """What one judge says of one candidate against the baseline, block after block.

    Args:
        scorer: Names the judge.
        asker: The judge.
        cache: What it said before is not asked again.
    """

    def __init__(self, scorer: Scorer, asker: Asker, cache: ResultCache) -> None:
        self.name, self._asker, self._cache = scorer.name, asker, cache
        self._seen: list[tuple[Example, Answer, Answer]] = []
        self._outcomes: list[Outcome] = []

    def is_kin(self, side: Side) -> bool:
        """Return whether the judge is that side, or of the same base model."""
        judge = self._asker.side
        if isinstance(judge, ModelFiles) and isinstance(side, ModelFiles):
            return judge.base.digest == side.base.digest
        return isinstance(side, RemoteModel) and self._asker.name == side.label

    def score(
        self, block: Sequence[Example], baseline: Sequence[Answer], candidate: Sequence[Answer]
    ) -> Scored:
        """Asks about a block; both orders, see ``judge``."""
        judged = compare_pairs(self._asker, block, baseline, candidate, self._cache)
        self._seen += zip(block, baseline, candidate, strict=True)
        self._outcomes += judged.outcomes
        return list(zip(*judged.scores, strict=True))

    def notes(self) -> tuple[str, ...]:
        """How far the judge can be believed: order, length, and questions with a known answer.

        Raises:
            UsageError: It gave no verdict at all, so that its ties would be made up.
        """
        judged = Judged(self._asker.name, self._asker.digest, tuple(self._outcomes))
        failed = judged.count(Kind.FAILURE)
        asked = failed + judged.count(Kind.AGREE) + judged.count(Kind.DISAGREE)
        if asked and failed == asked:
            raise UsageError(
                f"scorer {self.name!r}: the judge {self._asker.name} gave no verdict on any of"
                f" {asked} pairs: {judged.failed[0]}",
                next_command="see that it answers, or choose another judge; answers of the sides are"
                " kept and not generated again",
            )
        return (self._summary(judged, asked), *self._length(judged), *self._controls(judged))

    def _summary(self, judged: Judged, asked: int) -> str:
        return (
            f"{self.name}: of {len(self._outcomes)} pairs {asked} were asked in both orders,"
            f" {judged.count(Kind.DISAGREE)} contradicted themselves and"
            f" {judged.count(Kind.FAILURE)} had no verdict: ties"
        )

    def _length(self, judged: Judged) -> tuple[str, ...]:
        """The win rate at equal length, beside the raw one."""
        sizes = [(len(before.text), len(after.text)) for _, before, after in self._seen]
        found = length_adjusted(
            judged.preferences, [before for before, _ in sizes], [after for _, after in sizes]
        )
        told = (
            f"{self.name}: win rate {found.raw:.3f}, at equal length {found.adjusted:.3f}"
            f" (the candidate's answer is the longer one in {found.candidate_longer:.0%})"
        )
        return (f"{told}: it wins by its length" if found.contradicts else told,)

    def _controls(self, judged: Judged) -> tuple[str, ...]:
        answered = [(e, after) for e, _, after in self._seen if after.error is None]
        examples, answers = zip(*answered, strict=True) if answered else ((), ())
        checked = controls(
            self._asker, examples, answers, self._cache, judged=judged, sample=SAMPLE
        )
        return tuple(f"{self.name}: {warning}" for warning in checked.warnings)


def pairwise(judges: Sequence[Scorer], cache: ResultCache) -> list[Pairwise]:
    """Those scorers that are judges of pairs."""
    return [Pairwise(one, one.asker, cache) for one in judges if one.asker is not None]


def kinship(judges: Sequence[Pairwise], sides: Sequence[Side]) -> tuple[str, ...]:
    """Judges that would judge themselves: a model tends to prefer what it could have written.

    See Panickssery, Bowman & Feng 2024, arXiv:2404.13076.
    """
    told = []
    for judge in judges:
        own = [one.label for one in sides if judge.is_kin(one)]
        if own:
            told.append(
                f"{judge.name}: the judge is of the same model as {' and '.join(own)}; models tend"
                " to prefer their own answers"
            )
    return tuple(told)


def notes(judges: Sequence[Pairwise]) -> tuple[str, ...]:
    """Of all judges of one candidate; see ``Pairwise.notes``."""
    return tuple(chain.from_iterable(judge.notes() for judge in judges))
