"""Notes about answers that hold no text or were cut at the token limit.

Such answers are scored like any other, so a side can lose by its limit alone: a reasoning model may
spend all its tokens before the first word of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmops.records import Answer

NOTED_SHARE = 0.05
"""Share of one side's answers from which a note is given."""
CUT = "length"
"""Finish reason of an answer that reached the token limit."""


def notes(labels: Sequence[str], answers: Sequence[Sequence[Answer]]) -> list[str]:
    """Return notes about empty and cut answers, each with the share of every side.

    An answer that failed is in neither count: failures have their own note.

    Args:
        labels: Labels of the sides.
        answers: Answers of each side, in the same order.
    """
    found = []
    empty = [_count(own, _is_empty) for own in answers]
    if _is_worth_a_note(empty, answers):
        spent = [
            _count(own, lambda answer: _is_empty(answer) and _is_cut(answer)) for own in answers
        ]
        reason = (
            "; the token limit ended them before any text, as with models that reason first: raise"
            " max_tokens (--max-tokens)"
            if any(spent)
            else ""
        )
        found.append(f"empty answers: {_shares(labels, empty, answers)}{reason}")
    cut = [_count(own, lambda answer: _is_cut(answer) and not _is_empty(answer)) for own in answers]
    if _is_worth_a_note(cut, answers):
        found.append(
            f"answers cut at max_tokens: {_shares(labels, cut, answers)}; what is missing counts"
            " against them: raise max_tokens (--max-tokens)"
        )
    return found


def _is_empty(answer: Answer) -> bool:
    return answer.error is None and not answer.text.strip()


def _is_cut(answer: Answer) -> bool:
    return answer.error is None and answer.finish_reason == CUT


def _count(answers: Sequence[Answer], counts: Callable[[Answer], bool]) -> int:
    return sum(counts(answer) for answer in answers)


def _is_worth_a_note(counts: Sequence[int], answers: Sequence[Sequence[Answer]]) -> bool:
    """Return whether any side reaches the share from which a note is given."""
    return any(
        count > 0 and count >= NOTED_SHARE * len(own)
        for count, own in zip(counts, answers, strict=True)
    )


def _shares(
    labels: Sequence[str], counts: Sequence[int], answers: Sequence[Sequence[Answer]]
) -> str:
    """Return the shares of all sides, such as ``v1 0 of 12 (0%), v2 12 of 12 (100%)``."""
    return ", ".join(
        f"{label} {count} of {len(own)} ({count / max(1, len(own)):.0%})"
        for label, count, own in zip(labels, counts, answers, strict=True)
    )
