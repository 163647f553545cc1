"""The words of a text, without case, punctuation and layout.

Two texts with the same words are the same text to the leakage check (``compare/leakage``).
"""

from __future__ import annotations

import re
import unicodedata

import regex

MARKS = 30
"""Most combining marks in a row, as in Unicode's stream-safe text format (UAX 15, section 13):
the time of ``unicodedata.normalize`` is quadratic in their number, 5 s for 80,000."""
NO_SPACES = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han and kana are written without spaces: each character counts as a word."""
OPERATORS = r"[-+*/%^<>=\u2212\u00d7\u00f7](?=\s*\d)"
"""Arithmetic signs before a number; not punctuation, since 3 + 4 is not 3 - 4."""
APOSTROPHES = "'\u2019\u02bc"
"""Apostrophes are removed, so that *don't* stays one word; other punctuation ends a word."""
_ASCII = re.compile(rf"[a-z0-9]+|{OPERATORS}")
_ANY_SCRIPT = regex.compile(rf"[[\p{{L}}\p{{N}}_]||[\p{{M}}&&[\0-\uffff]]]+|{OPERATORS}", regex.V1)
"""Words of any script. Python's ``\\w`` lacks combining marks and so cuts Hindi words. Marks beyond
U+FFFF are excluded: some select a variant of a kanji, and would count as words."""
_NO_SPACES = re.compile(f"[{NO_SPACES}]")
_STRANGE = re.compile(rf"[^\w\x00-\x7f]{{{MARKS + 1},}}")
"""Possible rows of too many marks: neither letters nor ASCII."""


def words(text: str) -> list[str]:
    """Return the words of a text: NFKC, casefolded, without punctuation.

    Args:
        text: Text of any length; the time is linear in it.

    Returns:
        Sequences of letters, digits and combining marks; single characters of ``NO_SPACES``;
        arithmetic signs before numbers. If a text has none of these, such as a row of emoji, its
        parts between spaces, so that different such texts stay different.
    """
    plain = text.isascii()
    folded = text.casefold() if plain else _folded(text)
    for apostrophe in APOSTROPHES:
        folded = folded.replace(apostrophe, "")
    folded = folded.replace("_", " ")
    matches: list[str] = (_ASCII if plain else _ANY_SCRIPT).findall(folded)
    return matches or text.split()


def _folded(text: str) -> str:
    """Return the text in NFKC, casefolded, in NFKC again: casefolding can undo the first."""
    text = unicodedata.normalize("NFKC", _STRANGE.sub(_shortened, text))
    return _NO_SPACES.sub(r" \g<0> ", unicodedata.normalize("NFKC", text.casefold()))


def _shortened(run: re.Match[str]) -> str:
    """Return the characters without the combining marks that follow ``MARKS`` others."""
    kept, marks = [], 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MARKS:
            kept.append(character)
    return "".join(kept)
