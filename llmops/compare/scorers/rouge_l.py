"""``rouge_l``: the longest common subsequence of words."""

from __future__ import annotations

from functools import cache
from typing import Any

from llmops.compare.scorers.token_f1 import words

URL = "https://aclanthology.org/W04-1013"
CITATION = """
@inproceedings{lin-2004-rouge,
  title = {{ROUGE}: A Package for Automatic Evaluation of Summaries},
  author = {Lin, Chin-Yew},
  booktitle = {Text Summarization Branches Out},
  year = {2004},
  pages = {74--81},
  url = {https://aclanthology.org/W04-1013},
}
"""


def score(prediction: str, reference: str) -> float:
    """Return the F-measure of ROUGE-L without stemming, after Lin 2004, section 3.

    Words are those of ``token_f1``. On ASCII text they match the package's own tokenizer, which
    drops all other scripts.

    Returns:
        The F-measure; 0 if either text is empty, as in the package.
    """
    return float(_package().score(reference, prediction)["rougeL"].fmeasure)


@cache
def _package() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # here: loads nltk

    class Words:
        """The tokenizer interface of ``rouge_score``."""

        def tokenize(self, text: str) -> list[str]:
            return words(text)

    return RougeScorer(["rougeL"], use_stemmer=False, tokenizer=Words())
