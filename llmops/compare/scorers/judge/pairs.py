"""The verdicts of a pairwise judge on the answers of two sides.

Judges have a position bias: asked twice with the answers swapped, they often contradict themselves.
So both orders are always asked, and a preference counts only if both agree; everything else is a
tie. This also limits what an answer gains by naming a verdict: in the other order, the letter that
it names belongs to the other answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from llmops.compare.answers.cached import read_answer, through_cache
from llmops.compare.cache import ResultCache
from llmops.compare.scorers.judge.askers import Asker
from llmops.compare.scorers.judge.prompt import Pick, prompt, read
from llmops.files import digest
from llmops.records import Answer, Example, Message


class Kind(StrEnum):
    """How a preference was determined."""

    AGREE = "agree"
    """Both orders agree."""
    DISAGREE = "disagree"
    """The orders contradict each other: a tie."""
    FAILURE = "failure"
    """A reply is missing or holds no verdict: a tie."""
    IDENTICAL = "identical"
    """The answers are the same bytes: a tie, and the judge is not asked."""
    MISSING = "missing"
    """A side gave no answer and loses to one that did; the judge is not asked."""


@dataclass(frozen=True)
class Outcome:
    """A judge's preference between two answers.

    Attributes:
        example_id: Id of the example.
        preference: 1 for the candidate, -1 for the baseline, 0 for a tie.
        kind: How the preference was determined.
        picks: Verdict with the baseline's answer first, then with the candidate's first; ``None``
            for a reply without a verdict. Empty if the judge was not asked.
        reasons: The judge's reason for each verdict, or why there is none.
    """

    example_id: str
    preference: int
    kind: Kind
    picks: tuple[Pick | None, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def lean(self) -> int:
        """Number of picks of the first position minus the second; 0 if the orders agree."""
        return self.picks.count(Pick.FIRST) - self.picks.count(Pick.SECOND)


@dataclass(frozen=True)
class Judged:
    """A judge's preferences between two sides on a suite, or on a block of it.

    Attributes:
        judge: Name of the judge.
        digest: Digest of the judge; see ``Asker``.
        outcomes: Outcome of each example, in the order of the examples.
    """

    judge: str
    digest: str
    outcomes: tuple[Outcome, ...]

    @property
    def preferences(self) -> tuple[int, ...]:
        """Preference on each example: 1 for the candidate, -1 for the baseline, 0 for a tie."""
        return tuple(outcome.preference for outcome in self.outcomes)

    @property
    def scores(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Scores of (baseline, candidate): 1 for a win, 0.5 for a tie; the mean is the win rate."""
        won = tuple((1 + preference) / 2 for preference in self.preferences)
        return tuple(1 - score for score in won), won

    def count(self, kind: Kind) -> int:
        """Return the number of outcomes of a kind."""
        return sum(outcome.kind == kind for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[str, ...]:
        """Reasons why replies have no verdict, one for each such reply."""
        return tuple(
            reason
            for outcome in self.outcomes
            if outcome.picks
            for pick, reason in zip(outcome.picks, outcome.reasons, strict=True)
            if pick is None
        )

    @property
    def replies(self) -> int:
        """Number of replies, including failed and cached ones."""
        return sum(len(outcome.picks) for outcome in self.outcomes)


def compare_pairs(
    judge: Asker,
    examples: Sequence[Example],
    baseline_answers: Sequence[Answer],
    candidate_answers: Sequence[Answer],
    cache: ResultCache,
) -> Judged:
    """Ask a judge which side answers better, in both orders for each example.

    Args:
        judge: Model that judges.
        examples: A suite, or a block of it.
        baseline_answers: The baseline's answer to each example.
        candidate_answers: The candidate's answer to each example.
        cache: Cache of replies; each is stored as it arrives, failed ones are not.

    Raises:
        UsageError: The judge's server has no such model, or refuses the key.
        ServeError: The judge's server does not answer.
        ValueError: Examples and answers differ in number.
    """
    rows = list(zip(examples, baseline_answers, candidate_answers, strict=True))
    settled = [_settled(*row) for row in rows]
    prompts = [
        prompt(example, *order)
        for (example, before, after), known in zip(rows, settled, strict=True)
        if known is None
        for order in ((before.text, after.text), (after.text, before.text))
    ]
    replies = iter(_replies(judge, prompts, cache))
    outcomes = [
        _outcome(example, next(replies), next(replies)) if known is None else known
        for (example, _, _), known in zip(rows, settled, strict=True)
    ]
    return Judged(judge.name, judge.digest, tuple(outcomes))


def _settled(example: Example, baseline: Answer, candidate: Answer) -> Outcome | None:
    """Return the outcome of a pair that needs no judge; ``None`` for any other."""
    missing = [answer.error is not None for answer in (baseline, candidate)]
    if any(missing):
        why = tuple(a.error for a in (baseline, candidate) if a.error is not None)
        return Outcome(example.id, missing[0] - missing[1], Kind.MISSING, reasons=why)
    if baseline.text == candidate.text:
        return Outcome(example.id, 0, Kind.IDENTICAL)
    return None


def _outcome(example: Example, reply: Answer, swapped_reply: Answer) -> Outcome:
    """Combine the replies of both orders; the baseline's answer came first in ``reply``."""
    (pick, reason), (swapped, swapped_reason) = read(reply), read(swapped_reply)
    reasons = (reason, swapped_reason)
    if pick is None or swapped is None:
        return Outcome(example.id, 0, Kind.FAILURE, (pick, swapped), reasons)
    if pick != swapped.other:
        return Outcome(example.id, 0, Kind.DISAGREE, (pick, swapped), reasons)
    preference = {Pick.FIRST: -1, Pick.SECOND: 1, Pick.TIE: 0}[pick]
    return Outcome(example.id, preference, Kind.AGREE, (pick, swapped), reasons)


def _replies(
    judge: Asker, prompts: Sequence[Sequence[Message]], cache: ResultCache
) -> list[Answer]:
    """Return the reply to each prompt; the judge is asked only for replies not in the cache."""
    return through_cache(
        prompts,
        [digest.of_record(["judge", judge.digest, prompt]) for prompt in prompts],
        cache,
        title=f"judge {judge.name}",
        read=read_answer,
        compute=judge.ask,
        is_kept=lambda _, reply: reply.error is None,
    )
