"""Which examples a reader should see first, and how two answers differ word by word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmops.records import Answer, Comparison, Row
from llmops.report import wording
from llmops.report.wording import clean, metric_name, signed, typeset, visible

TEXT_LIMIT = 800
"""Characters of a prompt or answer: with ``MOST`` it keeps the report of any suite below 2 MB."""
CONTEXT_LIMIT = 400
"""Of the messages before the last: mostly the same system prompt every time."""
MOST = {"losses": 30, "wins": 20, "ties": 10}
DIGITS = 12
"""As in the paired test, so that both count the same ties: 0.3 - 0.2 equals 0.9 - 0.8."""
MOST_SCORES = 24
"""Metrics whose scores an example lists."""
OPEN_LOSSES = 3
"""Shown without a click."""

Chunks = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Shown:
    """A text as displayed: chunks that are marked or not, and what was cut away."""

    chunks: Chunks
    cut: str = ""

    @property
    def text(self) -> str:
        """All chunks together."""
        return "".join(text for text, _ in self.chunks)


@dataclass(frozen=True)
class Shelf:
    """Examples of one outcome, the largest differences first.

    Attributes:
        total: How many there are; ``cards`` holds at most ``MOST`` of them.
    """

    outcome: str
    total: int
    cards: tuple[Mapping[str, object], ...]


def shelves(comparison: Comparison, metric: str) -> tuple[Shelf, ...]:
    """Losses, wins and ties of the candidate on a metric, the largest first."""
    pairs = [(_difference(row, metric), row) for row in comparison.rows]
    pairs.sort(key=lambda pair: pair[0])
    losses = [pair for pair in pairs if pair[0] < 0]
    wins = [pair for pair in reversed(pairs) if pair[0] > 0]
    ties = [pair for pair in pairs if pair[0] == 0]
    named = {"losses": losses, "wins": wins, "ties": ties}
    return tuple(
        Shelf(outcome, len(found), tuple(_card(d, row) for d, row in found[: MOST[outcome]]))
        for outcome, found in named.items()
    )


def differences(comparison: Comparison, metric: str) -> list[float]:
    """Candidate minus baseline of every prompt."""
    return [_difference(row, metric) for row in comparison.rows]


def _difference(row: Row, metric: str) -> float:
    return round(row.candidate_scores[metric] - row.baseline_scores[metric], DIGITS)


def _card(difference: float, row: Row) -> dict[str, object]:
    *context, prompt = row.example.messages or ({"content": ""},)
    named = list(row.candidate_scores.items())[:MOST_SCORES]
    old, new = word_diff(shorten(row.baseline.text), shorten(row.candidate.text))
    return {
        "id": clean(row.example.id, 80),
        "difference": typeset(signed(difference)),
        "prompt": shorten(prompt["content"]),
        "context": shorten(_dialogue(context), CONTEXT_LIMIT),
        "expected": shorten(row.example.expected or ""),
        "baseline": old,
        "candidate": new,
        "baseline_end": _end(row.baseline),
        "candidate_end": _end(row.candidate),
        "scores": [
            (metric_name(name), f"{row.baseline_scores[name]:.3f}", f"{score:.3f}")
            for name, score in named
        ],
    }


def _dialogue(messages: Sequence[Mapping[str, str]]) -> str:
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _end(answer: Answer) -> str:
    tokens = f"{answer.tokens:,} token" + ("" if answer.tokens == 1 else "s")
    return tokens + (", stopped by the limit" if answer.finish_reason == "length" else "")


def shorten(text: str, limit: int = TEXT_LIMIT) -> Shown:
    """The beginning of a text, invisible characters spelled out."""
    spelled = visible(text[:limit])
    whole = len(text) <= limit and len(spelled) <= limit
    start, cut = spelled[:limit], "" if whole else f"cut here: {len(text):,} characters in all"
    return Shown(((start, False),), cut)


def word_diff(old: Shown, new: Shown) -> tuple[Shown, Shown]:
    """Marks the words of each text that the other does not have in that place."""
    before, after = (re.findall(r"\S+\s*|\s+", side.text) for side in (old, new))
    # difflib passes over words that fill a long text: repetition would cost it seconds.
    matcher = difflib.SequenceMatcher(None, _words(before), _words(after))
    old_chunks: list[tuple[str, bool]] = []
    new_chunks: list[tuple[str, bool]] = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        old_chunks.append(("".join(before[i:i_end]), tag != "equal"))
        new_chunks.append(("".join(after[j:j_end]), tag != "equal"))
    return Shown(_filled(old_chunks), old.cut), Shown(_filled(new_chunks), new.cut)


def _words(tokens: Sequence[str]) -> list[str]:
    """Spacing is no difference worth a mark."""
    return [token.strip() for token in tokens]


def _filled(chunks: Sequence[tuple[str, bool]]) -> Chunks:
    """Chunks without the empty ones; marks end before the space that follows a word."""
    split = []
    for text, marked in chunks:
        word = text.rstrip() if marked else text
        split += [(word, marked), (text[len(word) :], False)]
    return tuple(chunk for chunk in split if chunk[0])


def shelf_title(shelf: Shelf, candidate: str) -> str:
    """What the reader sees above a shelf, with the number shown where it is not all."""
    label = wording.clean(candidate, 24)
    verb = {"losses": "loses", "wins": "wins", "ties": "ties"}[shelf.outcome]
    prompts = f"{shelf.total:,} prompt" + ("" if shelf.total == 1 else "s")
    shown = len(shelf.cards)
    part = f" (the first {shown} are shown)" if shown < shelf.total else ""
    return f"{prompts} that {label} {verb}{part}"
