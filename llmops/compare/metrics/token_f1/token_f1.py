"""Word-overlap F1 as a Hugging Face ``evaluate`` module."""

from statistics import fmean

import datasets
import evaluate

from llmops.compare import scorers

_DESCRIPTION = """
Mean over the examples of the F1 of word overlap between prediction and reference, as SQuAD
counts it: lower-cased runs of letters and digits, each as often as it occurs.
"""
_CITATION = """
@inproceedings{rajpurkar-etal-2016-squad,
  title = {{SQ}u{AD}: 100,000+ Questions for Machine Comprehension of Text},
  author = {Rajpurkar, Pranav and Zhang, Jian and Lopyrev, Konstantin and Liang, Percy},
  booktitle = {Proceedings of EMNLP},
  year = {2016},
  pages = {2383--2392},
  doi = {10.18653/v1/D16-1264},
}
"""
_INPUTS = """
Args:
    predictions (list of str): answers.
    references (list of str): wanted answers, in the same order.

Returns:
    token_f1 (float): mean in [0, 1].
"""


class TokenF1(evaluate.Metric):  # type: ignore[misc]
    """Word-overlap F1."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://arxiv.org/abs/1606.05250"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        scores = list(map(scorers.token_f1, predictions, references))
        return {"token_f1": fmean(scores)}
