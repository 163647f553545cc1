"""Character n-gram F-score as a Hugging Face ``evaluate`` module."""

from statistics import fmean

import datasets
import evaluate

from llmops.compare import scorers

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
_INPUTS = """
Args:
    predictions (list of str): answers.
    references (list of str): wanted answers, in the same order.

Returns:
    chrf (float): mean in [0, 1].
"""


class Chrf(evaluate.Metric):  # type: ignore[misc]
    """Character n-gram F-score."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://aclanthology.org/W15-3049"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        scores = list(map(scorers.chrf, predictions, references))
        return {"chrf": fmean(scores)}
