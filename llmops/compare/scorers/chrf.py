"""``chrf``: F-score of character n-grams."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF

URL = "https://aclanthology.org/W15-3049"
CITATION = r"""
@inproceedings{popovic-2015-chrf,
  title = {chr{F}: character n-gram {F}-score for automatic {MT} evaluation},
  author = {Popovi{\'c}, Maja},
  booktitle = {Proceedings of the Tenth Workshop on Statistical Machine Translation},
  year = {2015},
  pages = {392--395},
  doi = {10.18653/v1/W15-3049},
}
"""


def score(prediction: str, reference: str) -> float:
    """Return the chrF of one sentence as sacrebleu computes it, after Popović 2015, section 2.

    N-grams have 1 to 6 characters, recall has twice the weight of precision, and white space is
    ignored. Precision and recall are averaged over the n for which both texts are long enough.

    Returns:
        The F-score in [0, 1]; 1 if both are empty, 0 if only one is.
    """
    if not prediction.split() and not reference.split():
        return 1.0  # equal texts; sacrebleu returns 0
    return float(_package().sentence_score(prediction, [reference]).score) / 100


@cache
def _package() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF  # here: takes 0.1 s

    return CHRF()
