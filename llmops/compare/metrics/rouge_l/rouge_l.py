"""ROUGE-L as a Hugging Face ``evaluate`` module."""

from statistics import fmean

import datasets
import evaluate

from llmops.compare import scorers

_DESCRIPTION = """
Mean over the examples of the ROUGE-L F-measure: the longest common subsequence of words of
prediction and reference, not stemmed. Computed by the rouge_score package.
"""
_CITATION = """
@inproceedings{lin-2004-rouge,
  title = {{ROUGE}: A Package for Automatic Evaluation of Summaries},
  author = {Lin, Chin-Yew},
  booktitle = {Text Summarization Branches Out},
  year = {2004},
  pages = {74--81},
  url = {https://aclanthology.org/W04-1013},
}
"""
_INPUTS = """
Args:
    predictions (list of str): answers.
    references (list of str): wanted answers, in the same order.

Returns:
    rouge_l (float): mean in [0, 1].
"""


class RougeL(evaluate.Metric):  # type: ignore[misc]
    """ROUGE-L F-measure."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://aclanthology.org/W04-1013"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        scores = list(map(scorers.rouge_l, predictions, references))
        return {"rouge_l": fmean(scores)}
