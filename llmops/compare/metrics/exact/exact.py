"""Normalised exact match as a Hugging Face ``evaluate`` module."""

from statistics import fmean

import datasets
import evaluate

from llmops.compare import scorers

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
_INPUTS = """
Args:
    predictions (list of str): answers.
    references (list of str): wanted answers, in the same order.

Returns:
    exact (float): mean in [0, 1].
"""


class Exact(evaluate.Metric):  # type: ignore[misc]
    """Normalised exact match."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://unicode.org/reports/tr15/"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        scores = list(map(scorers.exact, predictions, references))
        return {"exact": fmean(scores)}
