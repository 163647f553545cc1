"""A text as the words that are left when case, punctuation and layout are not looked at.

Two texts with the same words are the same text to the leakage check (``compare/leakage``).
"""

from __future__ import annotations

import re
import unicodedata

import regex

MARKS = 30
"""Combining marks in a row that are read, as in Unicode's stream-safe text (UAX 15, section 13):
``unicodedata.normalize`` takes a time quadratic in their number, 5 s for 80,000."""
NO_SPACES = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han and kana are written without spaces: each character counts as a word."""
OPERATORS = r"[-+*/%^<>=\u2212\u00d7\u00f7](?=\s*\d)"
"""Before a number these are no punctuation: 3 + 4 is not 3 - 4."""
APOSTROPHES = "'\u2019\u02bc"
"""They vanish, so that *don't* stays one word; other punctuation ends a word."""
_ASCII = re.compile(rf"[a-z0-9]+|{OPERATORS}")
_ANY_SCRIPT = regex.compile(rf"[[\p{{L}}\p{{N}}_]||[\p{{M}}&&[\0-\uffff]]]+|{OPERATORS}", regex.V1)
"""Python's ``\\w`` has no combining marks, and so cuts Hindi words. Marks beyond U+FFFF are left out:
some choose a variant of a kanji, which stands alone here, and would be words themselves."""
_NO_SPACES = re.compile(f"[{NO_SPACES}]")
_STRANGE = re.compile(rf"[^\w\x00-\x7f]{{{MARKS + 1},}}")
"""Where many marks in a row would be: they are neither letters nor ASCII."""


def words(text: str) -> list[str]:
    """The words of a text: NFKC, casefolded, without punctuation.

    Args:
        text: Of any length; the time is linear in it.

    Returns:
        Letters, digits and combining marks that stand together; single characters of ``NO_SPACES``;
        an arithmetic sign before a number. Of a text that has none of these, such as a row of
        emoji: what stands between its spaces, so that two of them are not taken for one.
    """
    plain = text.isascii()
    folded = text.casefold() if plain else _folded(text)
    for apostrophe in APOSTROPHES:
        folded = folded.replace(apostrophe, "")
    folded = folded.replace("_", " ")
    found: list[str] = (_ASCII if plain else _ANY_SCRIPT).findall(folded)
    return found or text.split()


def _folded(text: str) -> str:
    """NFKC and casefolded; casefolding makes characters that NFKC would compose."""
    text = unicodedata.normalize("NFKC", _STRANGE.sub(_shortened, text))
    return _NO_SPACES.sub(r" \g<0> ", unicodedata.normalize("NFKC", text.casefold()))


def _shortened(run: re.Match[str]) -> str:
    """Without the combining marks that follow ``MARKS`` others."""
    kept, marks = [], 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MARKS:
            kept.append(character)
    return "".join(kept)
