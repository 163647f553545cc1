"""Normalised exact match as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base
from llmops.compare.scorers import text

_DESCRIPTION = """
Share of predictions that equal their reference after Unicode NFKC, case folding, and one space
for each run of white space; a full stop at the end does not count.
"""
_CITATION = """
@misc{uax15,
  title = {Unicode Standard Annex 15: Unicode Normalization Forms},
  author = {Whistler, Ken},
  year = {2024},
  url = {https://unicode.org/reports/tr15/},
}
"""


class Exact(base.MeanMetric):
    """Normalised exact match."""

    about = base.About(
        name="exact",
        score=text.exact,
        description=_DESCRIPTION,
        citation=_CITATION,
        url="https://unicode.org/reports/tr15/",
    )
