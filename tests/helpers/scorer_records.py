"""Examples and answers for scorers, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import Scores, score
from llmops.records import Answer, Example

TEXTS = [("Return the name.", "Return a name."), ("Open it", "Open it."), ("", "x")]
"""Answers and expected answers of ``EXAMPLES``."""


def examples(*expected: str | None) -> list[Example]:
    ask = ({"role": "user", "content": "Say."},)
    return [Example(f"q{i}", ask, text, f"q{i}") for i, text in enumerate(expected)]


def answers(*texts: str) -> list[Answer]:
    return [Answer(text, 1, 1, "stop") for text in texts]


EXAMPLES = examples(*(wanted for _, wanted in TEXTS))
ANSWERS = answers(*(text for text, _ in TEXTS))


def scored(spec: str, *pairs: tuple[str, str | None], folder: Path = Path()) -> Sequence[float]:
    """Scores of (answer, expected) pairs by one scorer."""
    (scorer,) = load_scorers([f"it={spec}"], folder=folder)
    texts, wanted = zip(*pairs, strict=True)
    return score(examples(*wanted), answers(*texts), [scorer]).values["it"]


def scored_texts(spec: str, folder: Path = Path()) -> Scores:
    """Scores and failures of ``TEXTS`` by one scorer, called ``it``."""
    return score(EXAMPLES, ANSWERS, load_scorers([f"it={spec}"], folder=folder))
