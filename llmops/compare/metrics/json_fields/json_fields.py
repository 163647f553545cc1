"""Agreement of JSON values as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base
from llmops.compare.scorers import json_answers

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


class JsonFields(base.MeanMetric):
    """Agreement of JSON values."""

    about = base.About(
        name="json_fields",
        score=json_answers.json_fields,
        description=_DESCRIPTION,
        citation=_CITATION,
        url="https://www.rfc-editor.org/rfc/rfc8259",
    )
