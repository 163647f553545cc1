"""The examples to show first, and the words in which two answers differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmops.records import Answer, Comparison, Row
from llmops.report import wording
from llmops.report.wording import clean, metric_name, signed, typeset, visible
from llmops.texts.beginnings import distinct

TEXT_LIMIT = 800
"""Most characters of a prompt or answer; with ``MOST``, this keeps any report below 2 MB."""
CONTEXT_LIMIT = 400
"""Most characters of the messages before the last one, mostly a repeated system prompt."""
MOST = {"losses": 30, "wins": 20, "ties": 10}
"""Most examples of each outcome in the metric that leads."""
FEW = {"losses": 5, "wins": 3, "ties": 0}
"""Most examples of each outcome in every other metric."""
DIGITS = 12
"""Decimals of a difference, as in the paired test: 0.3 - 0.2 and 0.9 - 0.8 are equal."""
MOST_SCORES = 24
"""Most metrics whose scores an example lists."""
OPEN_LOSSES = 3
"""Number of losses that are shown without a click."""

Chunks = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Shown:
    """A text as displayed.

    Attributes:
        chunks: Parts of the text, each with whether it is marked.
        cut: Note on what was cut away; empty if the text is complete.
    """

    chunks: Chunks
    cut: str = ""

    @property
    def text(self) -> str:
        """The text without marks."""
        return "".join(text for text, _ in self.chunks)


@dataclass(frozen=True)
class Shelf:
    """Examples of one outcome, the largest differences first.

    Attributes:
        outcome: ``losses``, ``wins`` or ``ties``.
        total: Number of prompts with this outcome.
        cards: Template values of the examples shown, at most ``MOST``.
    """

    outcome: str
    total: int
    cards: tuple[Mapping[str, object], ...]


def shelves(
    comparison: Comparison, metric: str, most: Mapping[str, int] = MOST
) -> tuple[Shelf, ...]:
    """Return losses, wins and ties of the candidate on a metric, the largest first.

    Args:
        comparison: Result of the comparison.
        metric: Name of a score of its rows.
        most: Most examples of each outcome.
    """
    titles = dict(zip(map(id, comparison.rows), _titles(comparison.rows), strict=True))
    pairs = [(_difference(row, metric), row) for row in comparison.rows]
    pairs.sort(key=lambda pair: pair[0])
    losses = [pair for pair in pairs if pair[0] < 0]
    wins = [pair for pair in reversed(pairs) if pair[0] > 0]
    ties = [pair for pair in pairs if pair[0] == 0]
    named = {"losses": losses, "wins": wins, "ties": ties}
    return tuple(
        Shelf(
            outcome,
            len(pairs),
            tuple(_card(d, row, titles[id(row)]) for d, row in pairs[: most[outcome]]),
        )
        for outcome, pairs in named.items()
    )


def _titles(rows: Sequence[Row]) -> list[str]:
    """Return what tells each prompt apart from the others, on one line."""
    return [clean(text, 70) for text in distinct([_prompt(row) for row in rows])]


def _prompt(row: Row) -> str:
    return row.example.messages[-1]["content"] if row.example.messages else ""


def differences(comparison: Comparison, metric: str) -> list[float]:
    """Return candidate minus baseline for every prompt."""
    return [_difference(row, metric) for row in comparison.rows]


def _difference(row: Row, metric: str) -> float:
    return round(row.candidate_scores[metric] - row.baseline_scores[metric], DIGITS)


def _card(difference: float, row: Row, title: str) -> dict[str, object]:
    *context, _ = row.example.messages or ({},)
    named = list(row.candidate_scores.items())[:MOST_SCORES]
    old, new = word_diff(shorten(row.baseline.text), shorten(row.candidate.text))
    return {
        "id": clean(row.example.id, 80),
        "title": title,
        "difference": typeset(signed(difference)),
        "prompt": shorten(_prompt(row)),
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
    """Return the beginning of a text, with invisible characters spelled out."""
    spelled = visible(text[:limit])
    whole = len(text) <= limit and len(spelled) <= limit
    start, cut = spelled[:limit], "" if whole else f"cut here: {len(text):,} characters in total"
    return Shown(((start, False),), cut)


def word_diff(old: Shown, new: Shown) -> tuple[Shown, Shown]:
    """Mark the words of each text that the other lacks at that place."""
    before, after = (re.findall(r"\S+\s*|\s+", side.text) for side in (old, new))
    # difflib ignores words that fill a long text; otherwise repetition would cost seconds.
    matcher = difflib.SequenceMatcher(None, _words(before), _words(after))
    old_chunks: list[tuple[str, bool]] = []
    new_chunks: list[tuple[str, bool]] = []
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        old_chunks.append(("".join(before[i:i_end]), tag != "equal"))
        new_chunks.append(("".join(after[j:j_end]), tag != "equal"))
    return Shown(_filled(old_chunks), old.cut), Shown(_filled(new_chunks), new.cut)


def _words(tokens: Sequence[str]) -> list[str]:
    """Return the words without their spacing, which is not worth a mark."""
    return [token.strip() for token in tokens]


def _filled(chunks: Sequence[tuple[str, bool]]) -> Chunks:
    """Drop empty chunks, and end each mark before the space that follows its word."""
    split = []
    for text, marked in chunks:
        word = text.rstrip() if marked else text
        split += [(word, marked), (text[len(word) :], False)]
    return tuple(chunk for chunk in split if chunk[0])


def shelf_title(shelf: Shelf, candidate: str) -> str:
    """Return the heading of a shelf, with the number shown if that is not all."""
    label = wording.clean(candidate, 24)
    verb = {"losses": "loses", "wins": "wins", "ties": "ties"}[shelf.outcome]
    prompts = f"{shelf.total:,} prompt" + ("" if shelf.total == 1 else "s")
    shown = len(shelf.cards)
    part = f" (first {shown} shown)" if shown < shelf.total else ""
    return f"{prompts} that {label} {verb}{part}"
