"""``token_f1``: overlap of words, as in SQuAD."""

from __future__ import annotations

import re
from collections import Counter

URL = "https://arxiv.org/abs/1606.05250"
CITATION = """
@inproceedings{rajpurkar-etal-2016-squad,
  title = {{SQ}u{AD}: 100,000+ Questions for Machine Comprehension of Text},
  author = {Rajpurkar, Pranav and Zhang, Jian and Lopyrev, Konstantin and Liang, Percy},
  booktitle = {Proceedings of EMNLP},
  year = {2016},
  pages = {2383--2392},
  doi = {10.18653/v1/D16-1264},
}
"""

_WORD = re.compile(r"[^\W_]+")


def score(prediction: str, reference: str) -> float:
    """Return the F1 of two bags of words, after Rajpurkar et al. 2016, section 6.1.

    Articles count, unlike in SQuAD, because an answer here is a sentence and not a span.

    Returns:
        Harmonic mean of precision and recall; 1 if both are empty, 0 if only one is.
    """
    answered, wanted = Counter(words(prediction)), Counter(words(reference))
    if not answered or not wanted:
        return float(answered == wanted)
    shared = (answered & wanted).total()
    return 2 * shared / (answered.total() + wanted.total())


def words(text: str) -> list[str]:
    """Return the words of a text: letters and digits of any script, in lower case."""
    return _WORD.findall(text.lower())
