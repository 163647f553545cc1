"""``exact``: whether an answer equals the expected one, ignoring case, spacing and a full stop."""

from __future__ import annotations

import unicodedata

URL = "https://unicode.org/reports/tr15/"
CITATION = """
@misc{uax15,
  title = {Unicode Standard Annex 15: Unicode Normalization Forms},
  author = {Whistler, Ken},
  year = {2024},
  url = {https://unicode.org/reports/tr15/},
}
"""


def score(prediction: str, reference: str) -> float:
    """Return 1 if both texts are equal after ``normalised``, else 0."""
    return float(normalised(prediction) == normalised(reference))


def normalised(text: str) -> str:
    """Return a text in Unicode NFKC, casefolded, with single spaces and without a final full stop."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return " ".join(words).removesuffix(".").rstrip()
