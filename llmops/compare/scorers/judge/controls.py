"""Whether a judge can be believed: questions whose answer is known.

- The same answer twice shows what a judge does when there is nothing to prefer.
- Pairs whose orders contradict each other show whether it judges places.
- A useless constant answer against real ones shows whether it sees quality at all. Constant texts
  are known to win against real answers (Zheng et al. 2024, arXiv:2410.07137).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from llmops.compare.cache import ResultCache
from llmops.compare.scorers.judge.askers import Asker
from llmops.compare.scorers.judge.pairs import Judged, Kind, compare_pairs
from llmops.compare.scorers.judge.prompt import Pick
from llmops.records import Answer, Example
from llmops.stats.exact import mcnemar

CONSTANT = "I am not sure."
SAMPLE = 50
"""Examples asked for each control: a share of 10% is then known to about 8 points."""
MOST_FAILED = 0.05
"""Share of replies without a verdict: each turns a pair into a tie."""
MOST_SWAPPED = 0.3
"""Share of pairs that flip with the order: above, ties say more about places than about answers."""
LEAN_LEVEL = 0.01
"""Level at which a preference for a place is told; it is tested twice for each judge."""
MOST_CONSTANT = 0.1
"""Share of real answers that a useless one may beat: some real answers are worse."""
LEAST_SEEN = 0.5
"""Share of real answers that must beat a useless one."""


@dataclass(frozen=True)
class Places:
    """What swapping the two answers changes.

    Attributes:
        pairs: Whose verdicts are known in both orders.
        first: Pairs whose orders contradict each other in favour of what stands first.
        second: Likewise, of what stands second.
    """

    pairs: int
    first: int
    second: int

    @property
    def swapped(self) -> int:
        """Pairs whose orders contradict each other."""
        return self.first + self.second

    @property
    def rate(self) -> float:
        """Their share; NaN without pairs."""
        return _share(self.swapped, self.pairs)

    @property
    def p_value(self) -> float:
        """Exact, two-sided binomial p-value of "neither place is preferred"."""
        return mcnemar(self.first, self.second)


@dataclass(frozen=True)
class Controls:
    """What is known of a judge.

    Attributes:
        judge: Its name.
        same_picks: Verdicts, in single orders, on pairs of one answer with itself.
        same_decided: Those that are no tie.
        same_first: Those that prefer the first.
        same_places: What swapping changes on them.
        places: What swapping changes on the pairs of the comparison.
        constant: Pairs of a real answer and the constant one with verdicts in both orders.
        constant_won: Where the constant one is preferred in both.
        constant_lost: Where the real one is.
        replies: All verdicts asked for, those of the comparison included.
        failed: Those that came to nothing.
        failure: Why, of the first of them.
    """

    judge: str
    same_picks: int
    same_decided: int
    same_first: int
    same_places: Places
    places: Places
    constant: int
    constant_won: int
    constant_lost: int
    replies: int
    failed: int
    failure: str

    @property
    def decided_share(self) -> float:
        """Share of verdicts on the same answer that are no tie; NaN without any."""
        return _share(self.same_decided, self.same_picks)

    @property
    def first_share(self) -> float:
        """Share of those that prefer the first: 0.5 without a preferred place, NaN without any."""
        return _share(self.same_first, self.same_decided)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before the judge's verdicts, in sentences."""
        told = (
            _failing(self),
            _swapping(self.judge, self.places, "pairs", MOST_SWAPPED),
            _swapping(self.judge, self.same_places, "pairs of one answer with itself", 1.0),
            _fond_of_nothing(self),
            _blind(self),
        )
        return tuple(warning for warning in told if warning)


def places(judged: Judged) -> Places:
    """What swapping changed in a comparison; identical answers and failures are no part of it."""
    known = [one for one in judged.outcomes if one.kind in (Kind.AGREE, Kind.DISAGREE)]
    first, second = sum(one.lean > 0 for one in known), sum(one.lean < 0 for one in known)
    return Places(len(known), first, second)


def controls(
    judge: Asker,
    examples: Sequence[Example],
    answers: Sequence[Answer],
    cache: ResultCache,
    *,
    judged: Judged,
    constant: str = CONSTANT,
    sample: int = SAMPLE,
) -> Controls:
    """Asks a judge questions whose answer is known.

    Args:
        judge: Who is asked.
        examples: A suite.
        answers: Real ones, of either side, one for each example.
        cache: What was asked before is not asked again.
        judged: The comparison that the judge is wanted for: both orders of its pairs were asked.
        constant: An answer that is of no use to anybody.
        sample: Examples for each control at most, spread evenly over the suite.

    Raises:
        UsageError: See ``compare_pairs``.
        ValueError: Numbers of examples and answers differ.
    """
    rows = list(zip(examples, answers, strict=True))
    drawn = _spread([row for row in rows if row[1].error is None], sample)
    asked, real = [example for example, _ in drawn], [answer for _, answer in drawn]
    # Answers of the same bytes are ties without a question. An empty line at the end, which says
    # nothing, makes it one.
    again = [replace(answer, text=f"{answer.text}\n") for answer in real]
    useless = [Answer(constant, 0, 0, "stop")] * len(real)
    same = compare_pairs(judge, asked, real, again, cache)
    against = compare_pairs(judge, asked, real, useless, cache)
    picks = [pick for one in same.outcomes for pick in one.picks if pick is not None]
    failed = [reason for one in (judged, same, against) for reason in one.failed]
    return Controls(
        judge=judge.name,
        same_picks=len(picks),
        same_decided=sum(pick != Pick.TIE for pick in picks),
        same_first=picks.count(Pick.FIRST),
        same_places=places(same),
        places=places(judged),
        constant=places(against).pairs,
        constant_won=against.preferences.count(1),
        constant_lost=against.preferences.count(-1),
        replies=sum(one.replies for one in (judged, same, against)),
        failed=len(failed),
        failure=failed[0] if failed else "",
    )


def _spread(rows: list[tuple[Example, Answer]], most: int) -> list[tuple[Example, Answer]]:
    """So many rows, at equal distances."""
    if len(rows) <= most:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int)]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else nan


def _failing(found: Controls) -> str:
    if found.failed <= MOST_FAILED * found.replies:
        return ""
    return (
        f"{found.judge}: {found.failed} of {found.replies} replies hold no verdict, and their pairs"
        f" count as ties; the first: {found.failure}"
    )


def _swapping(judge: str, of: Places, what: str, most: float) -> str:
    if of.swapped <= most * of.pairs and of.p_value > LEAN_LEVEL:
        return ""
    side, times = ("first", of.first) if of.first >= of.second else ("second", of.second)
    if times == of.pairs:
        return (
            f"{judge} prefers the {side} answer, whichever it is, in all {of.pairs} {what}:"
            " all are ties, and say nothing about the answers"
        )
    return (
        f"{judge} contradicts itself in {of.swapped} of {of.pairs} {what} ({of.rate:.0%}) when the"
        f" answers are swapped, {times} times in favour of the {side} (p = {of.p_value:.2g})"
    )


def _fond_of_nothing(found: Controls) -> str:
    if found.constant_won <= MOST_CONSTANT * found.constant:
        return ""
    return (
        f"{found.judge} prefers a useless constant answer to {found.constant_won} of"
        f" {found.constant} real ones"
    )


def _blind(found: Controls) -> str:
    if found.constant_lost >= LEAST_SEEN * found.constant:
        return ""
    return (
        f"{found.judge} prefers only {found.constant_lost} of {found.constant} real answers to a"
        " useless constant one: it does not see quality here"
    )
