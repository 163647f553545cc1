"""Share of one-line answers as a Hugging Face ``evaluate`` module."""

from statistics import fmean

import datasets
import evaluate

from llmops.compare import scorers

_DESCRIPTION = """
Share of predictions that have the form of a docstring's first line: one line of at most 120
characters, without a code fence, that ends in a full stop, question or exclamation mark.
"""
_CITATION = """
@misc{pep257,
  title = {{PEP} 257: Docstring Conventions},
  author = {Goodger, David and van Rossum, Guido},
  year = {2001},
  url = {https://peps.python.org/pep-0257/},
}
"""
_INPUTS = """
Args:
    predictions (list of str): answers.

Returns:
    one_line (float): share in [0, 1].
"""


class OneLine(evaluate.Metric):  # type: ignore[misc]
    """Share of one-line answers; references may be given, and are not read."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": datasets.Value("string")}),
            reference_urls=["https://peps.python.org/pep-0257/"],
        )

    def _compute(self, predictions: list[str]) -> dict[str, float]:
        scores = [scorers.one_line(prediction) for prediction in predictions]
        return {"one_line": fmean(scores)}
