"""The pairwise judge: a model says which of two answers is better.

Judges prefer places: asked twice with the answers swapped, they often contradict themselves. So
both orders are always asked, and a preference counts only if both agree; all else is a tie. This
also bounds what an answer can gain by naming a verdict: the letter it names is the other answer's
in the other order.
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
    """How a preference came about."""

    AGREE = "agree"
    """Both orders say the same."""
    DISAGREE = "disagree"
    """The orders contradict each other: a tie."""
    FAILURE = "failure"
    """A reply is missing or holds no verdict: a tie."""
    IDENTICAL = "identical"
    """The answers are the same bytes: a tie, and nothing was asked."""
    MISSING = "missing"
    """A side gave no answer: it loses to one that did, and nothing was asked."""


@dataclass(frozen=True)
class Outcome:
    """What a judge makes of one pair of answers.

    Attributes:
        example_id: Of the example.
        preference: 1 for the candidate, -1 for the baseline, 0 for a tie.
        kind: How it came about.
        picks: With the baseline's answer first, then with the candidate's first; ``None`` for a
            reply without a verdict. Empty if nothing was asked.
        reasons: The judge's words on each, or why there is no verdict.
    """

    example_id: str
    preference: int
    kind: Kind
    picks: tuple[Pick | None, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def lean(self) -> int:
        """Picks of the first answer minus picks of the second; 0 if the orders agree."""
        return self.picks.count(Pick.FIRST) - self.picks.count(Pick.SECOND)


@dataclass(frozen=True)
class Judged:
    """What a judge makes of two sides; blocks of a suite are joined by their outcomes.

    Attributes:
        judge: Its name.
        digest: Its identity.
        outcomes: One for each example, in their order.
    """

    judge: str
    digest: str
    outcomes: tuple[Outcome, ...]

    @property
    def preferences(self) -> tuple[int, ...]:
        """1 for the candidate, -1 for the baseline, 0 for a tie, one for each example."""
        return tuple(outcome.preference for outcome in self.outcomes)

    @property
    def scores(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Baseline's and candidate's: 1 for a win, 0.5 for a tie; their mean is the win rate."""
        won = tuple((1 + preference) / 2 for preference in self.preferences)
        return tuple(1 - score for score in won), won

    def count(self, kind: Kind) -> int:
        """Outcomes of a kind."""
        return sum(outcome.kind == kind for outcome in self.outcomes)

    @property
    def failed(self) -> tuple[str, ...]:
        """Why replies hold no verdict, one for each such reply."""
        return tuple(
            reason
            for outcome in self.outcomes
            if outcome.picks
            for pick, reason in zip(outcome.picks, outcome.reasons, strict=True)
            if pick is None
        )

    @property
    def replies(self) -> int:
        """Verdicts asked for, the failed ones and those from the cache included."""
        return sum(len(outcome.picks) for outcome in self.outcomes)


def compare_pairs(
    judge: Asker,
    examples: Sequence[Example],
    baseline_answers: Sequence[Answer],
    candidate_answers: Sequence[Answer],
    cache: ResultCache,
) -> Judged:
    """Asks a judge which side answers better, twice for each example.

    Args:
        judge: Who is asked.
        examples: A suite, or a block of it.
        baseline_answers: One for each example.
        candidate_answers: One for each example.
        cache: What was asked before is not asked again; each reply is kept as it comes. Replies
            that could not be had are not kept.

    Raises:
        UsageError: The judge's server knows no such model, or refuses the key.
        ValueError: Numbers of examples and answers differ.
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
    """What needs no judge."""
    missing = [answer.error is not None for answer in (baseline, candidate)]
    if any(missing):
        why = tuple(a.error for a in (baseline, candidate) if a.error is not None)
        return Outcome(example.id, missing[0] - missing[1], Kind.MISSING, reasons=why)
    if baseline.text == candidate.text:
        return Outcome(example.id, 0, Kind.IDENTICAL)
    return None


def _outcome(example: Example, one: Answer, other: Answer) -> Outcome:
    """Two replies as one preference: the baseline's answer stood first in the first of them."""
    (pick, reason), (swapped, other_reason) = read(one), read(other)
    reasons = (reason, other_reason)
    if pick is None or swapped is None:
        return Outcome(example.id, 0, Kind.FAILURE, (pick, swapped), reasons)
    if pick != swapped.other:
        return Outcome(example.id, 0, Kind.DISAGREE, (pick, swapped), reasons)
    preference = {Pick.FIRST: -1, Pick.SECOND: 1, Pick.TIE: 0}[pick]
    return Outcome(example.id, preference, Kind.AGREE, (pick, swapped), reasons)


def _replies(
    judge: Asker, prompts: Sequence[Sequence[Message]], cache: ResultCache
) -> list[Answer]:
    """Return a reply for each prompt; what is in the cache, or repeated, is asked once."""
    return through_cache(
        prompts,
        [digest.of_record(["judge", judge.digest, prompt]) for prompt in prompts],
        cache,
        title=f"judge {judge.name}",
        read=read_answer,
        compute=judge.ask,
        is_kept=lambda _, reply: reply.error is None,
    )
