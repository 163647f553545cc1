"""Controls of a judge: questions whose right answer is known.

- The same answer twice shows what the judge does when there is nothing to prefer.
- Pairs whose orders contradict each other show its position bias.
- A useless constant answer against real ones shows whether it recognizes quality at all. Constant
  texts are known to win against real answers (Zheng et al. 2024, arXiv:2410.07137).
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
"""Examples of each control: a share of 10% then has a 95% interval of about ±8 points."""
MOST_FAILED = 0.05
"""Share of replies without a verdict above which it is reported: each turns a pair into a tie."""
MOST_SWAPPED = 0.3
"""Share of pairs that flip with the order above which it is reported: ties then mostly reflect
position, not quality."""
LEAN_LEVEL = 0.01
"""Significance level of the position bias; it is tested twice for each judge."""
MOST_CONSTANT = 0.1
"""Share of real answers that a useless one may beat: some real answers are worse."""
LEAST_SEEN = 0.5
"""Minimum share of real answers that must beat a useless one."""


@dataclass(frozen=True)
class Places:
    """The effect of swapping the two answers.

    Attributes:
        pairs: Number of pairs with a verdict in both orders.
        first: Number of pairs whose orders contradict each other in favour of the first position.
        second: Number of pairs whose orders do so in favour of the second position.
    """

    pairs: int
    first: int
    second: int

    @property
    def swapped(self) -> int:
        """Number of pairs whose orders contradict each other."""
        return self.first + self.second

    @property
    def rate(self) -> float:
        """Share of pairs whose orders contradict each other; NaN without pairs."""
        return _share(self.swapped, self.pairs)

    @property
    def p_value(self) -> float:
        """Exact two-sided binomial p-value of the hypothesis that neither position is preferred."""
        return mcnemar(self.first, self.second)


@dataclass(frozen=True)
class Controls:
    """The results of a judge's controls; counts, unless said otherwise.

    Attributes:
        judge: Name of the judge.
        same_picks: Verdicts on pairs of an answer with itself, each order counted.
        same_decided: Verdicts among ``same_picks`` that are not a tie.
        same_first: Verdicts among ``same_picks`` that prefer the first position.
        same_places: Effect of swapping on pairs of an answer with itself.
        places: Effect of swapping on the pairs of the comparison.
        constant: Pairs of a real and the constant answer with verdicts in both orders.
        constant_won: Pairs of them in which both orders prefer the constant answer.
        constant_lost: Pairs of them in which both orders prefer the real answer.
        replies: Replies in total, those of the comparison included.
        failed: Replies without a verdict.
        failure: Reason of the first failed reply; empty if none failed.
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
        """Share of verdicts on the same answer that are not a tie; NaN without verdicts."""
        return _share(self.same_decided, self.same_picks)

    @property
    def first_share(self) -> float:
        """Share of decided verdicts for the first position: 0.5 without bias, NaN without verdicts."""
        return _share(self.same_first, self.same_decided)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the judge that a reader needs before its verdicts."""
        warnings = (
            _failing(self),
            _swapping(self.judge, self.places, "pairs", MOST_SWAPPED),
            _swapping(self.judge, self.same_places, "pairs of one answer with itself", 1.0),
            _preferring_useless(self),
            _missing_quality(self),
        )
        return tuple(warning for warning in warnings if warning)


def places(judged: Judged) -> Places:
    """Return the effect of swapping in a comparison, over the pairs with a verdict in both orders."""
    leans = [
        outcome.lean for outcome in judged.outcomes if outcome.kind in (Kind.AGREE, Kind.DISAGREE)
    ]
    return Places(len(leans), sum(lean > 0 for lean in leans), sum(lean < 0 for lean in leans))


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
    """Ask a judge questions whose right answer is known.

    Args:
        judge: Model that judges.
        examples: A suite.
        answers: A real answer to each example, of either side.
        cache: Cache of replies.
        judged: Outcomes of the comparison, whose position bias is reported as well.
        constant: A useless answer.
        sample: Maximum number of examples for each control, spread evenly over the suite.

    Raises:
        UsageError: See ``compare_pairs``.
        ServeError: See ``compare_pairs``.
        ValueError: Examples and answers differ in number.
    """
    rows = list(zip(examples, answers, strict=True))
    drawn = _spread([row for row in rows if row[1].error is None], sample)
    sampled, real = [example for example, _ in drawn], [answer for _, answer in drawn]
    # The judge is not asked about identical bytes; an empty line at the end makes them differ.
    again = [replace(answer, text=f"{answer.text}\n") for answer in real]
    useless = [Answer(constant, 0, 0, "stop")] * len(real)
    same = compare_pairs(judge, sampled, real, again, cache)
    against = compare_pairs(judge, sampled, real, useless, cache)
    picks = [pick for outcome in same.outcomes for pick in outcome.picks if pick is not None]
    failed = [reason for part in (judged, same, against) for reason in part.failed]
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
        replies=sum(part.replies for part in (judged, same, against)),
        failed=len(failed),
        failure=failed[0] if failed else "",
    )


def _spread(rows: list[tuple[Example, Answer]], most: int) -> list[tuple[Example, Answer]]:
    """Return at most ``most`` rows, evenly spaced."""
    if len(rows) <= most:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int)]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else nan


def _failing(results: Controls) -> str:
    if results.failed <= MOST_FAILED * results.replies:
        return ""
    return (
        f"{results.judge}: {results.failed} of {results.replies} replies have no verdict, and their"
        f" pairs count as ties; the first: {results.failure}"
    )


def _swapping(judge: str, effect: Places, what: str, most: float) -> str:
    first, second, pairs = effect.first, effect.second, effect.pairs
    if effect.swapped <= most * pairs and effect.p_value > LEAN_LEVEL:
        return ""
    side, times = ("first", first) if first >= second else ("second", second)
    if times == pairs:
        return (
            f"{judge} prefers the {side} answer in all {pairs} {what}, whichever it is: all are"
            " ties that say nothing about the answers"
        )
    return (
        f"{judge} contradicts itself in {effect.swapped} of {pairs} {what} ({effect.rate:.0%}) when"
        f" the answers are swapped, {times} times in favour of the {side} (p = {effect.p_value:.2g})"
    )


def _preferring_useless(results: Controls) -> str:
    if results.constant_won <= MOST_CONSTANT * results.constant:
        return ""
    return (
        f"{results.judge} prefers a useless constant answer to {results.constant_won} of"
        f" {results.constant} real ones"
    )


def _missing_quality(results: Controls) -> str:
    if results.constant_lost >= LEAST_SEEN * results.constant:
        return ""
    return (
        f"{results.judge} prefers only {results.constant_lost} of {results.constant} real answers to"
        " a useless constant one: it does not recognize quality here"
    )
