"""Agreement of JSON values as a Hugging Face ``evaluate`` module."""

from statistics import fmean

import datasets
import evaluate

from llmops.compare import scorers_json

_DESCRIPTION = """
Mean over the examples of the F1 of the leaves that prediction and reference share, place and
value. A prediction that is not JSON counts 0; a reference that is not JSON is refused.
"""
_CITATION = """
@misc{rfc8259,
  title = {The {JavaScript} Object Notation ({JSON}) Data Interchange Format},
  author = {Bray, Tim},
  year = {2017},
  url = {https://www.rfc-editor.org/rfc/rfc8259},
}
"""
_INPUTS = """
Args:
    predictions (list of str): answers.
    references (list of str): wanted answers, in the same order.

Returns:
    json_fields (float): mean in [0, 1].
"""


class JsonFields(evaluate.Metric):  # type: ignore[misc]
    """Agreement of JSON values."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://www.rfc-editor.org/rfc/rfc8259"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        scores = list(map(scorers_json.json_fields, predictions, references))
        return {"json_fields": fmean(scores)}
