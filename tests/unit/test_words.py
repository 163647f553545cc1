"""Help texts, error messages and documentation use words that a native reader does not stumble on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmops

ROOT = Path(llmops.__file__).parents[1]
SOURCES = sorted(
    [*(ROOT / "llmops").rglob("*.py"), *(ROOT / "mlflow_plugins").rglob("*.py")], key=str
)
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "recipes").rglob("*.md"),
        *(ROOT / "recipes").rglob("*.yaml"),
        *(ROOT / "llmops" / "report").rglob("*.j2"),
        ROOT / "Makefile",
    ],
    key=str,
)
RETIRED = {
    r"\b(is|are|was|were|be|been) told\b|\btold (by|in|to|of|beside)\b": "reported, shown",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bso (many|long|few)\b": "the value: this many prompts, DAYS days",
    r"\bthat long\b": "for DURATION",
    r"\bwould see\b": "MDE, minimum detectable effect",
    r"\bis none of\b": "is not a …",
    r"\bin silence\b": "silently",
    r"\bthe same command again\b": "then rerun",
    r"\bsays? (of|to) (itself|it)\b": "describes",
    r"\bin words\b": "as a message",
    r"\bgoes on where\b": "resumes",
    r"\bwhat (it|they|that) came to\b": "the outcome",
    r"\bany more\b": "no longer",
    r"\bin place of what is there\b": "replacing",
    r"\bof its own accord\b": "by itself",
    r"\bgreeting\b": "probe",
    r"\bsitting\b": "session",
    r"\blooked at\b": "inspected, tested",
}
"""Retired wording → what to write."""


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every string of a module: docstrings, help texts, messages; each with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def retired_in(text: str) -> list[str]:
    """Return the retired words of a text with their replacements."""
    flat = " ".join(text.split())
    return [
        f"{match[0]!r}: write {better}"
        for pattern, better in RETIRED.items()
        for match in re.finditer(pattern, flat, flags=re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_strings_of_the_code_hold_no_retired_word(path: Path) -> None:
    found = [f"line {line}: {word}" for line, text in texts_of(path) for word in retired_in(text)]
    assert not found, f"{path.relative_to(ROOT)}:\n" + "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_hold_no_retired_word(path: Path) -> None:
    assert not retired_in(path.read_text(encoding="utf-8")), path.relative_to(ROOT)


def test_a_retired_word_would_be_found() -> None:
    assert retired_in("What fails is told.")
    assert retired_in("mend the file,\n  then the same\n command again")
    assert not retired_in("The error is reported; fix the file and rerun.")
