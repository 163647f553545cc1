"""Character n-gram F-score as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base
from llmops.compare.scorers import text

_DESCRIPTION = """
Mean over the examples of chrF: F-score of character n-grams up to 6, recall twice as heavy as
precision, white space left out. A corpus score, which sums the counts first, differs.
"""
_CITATION = r"""
@inproceedings{popovic-2015-chrf,
  title = {chr{F}: character n-gram {F}-score for automatic {MT} evaluation},
  author = {Popovi{\'c}, Maja},
  booktitle = {Proceedings of the Tenth Workshop on Statistical Machine Translation},
  year = {2015},
  pages = {392--395},
  doi = {10.18653/v1/W15-3049},
}
"""


class Chrf(base.MeanMetric):
    """Character n-gram F-score."""

    about = base.About(
        name="chrf",
        score=text.chrf,
        description=_DESCRIPTION,
        citation=_CITATION,
        url="https://aclanthology.org/W15-3049",
    )
