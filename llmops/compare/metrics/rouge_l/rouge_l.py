"""ROUGE-L as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base
from llmops.compare.scorers import text

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


class RougeL(base.MeanMetric):
    """ROUGE-L F-measure."""

    about = base.About(
        name="rouge_l",
        score=text.rouge_l,
        description=_DESCRIPTION,
        citation=_CITATION,
        url="https://aclanthology.org/W04-1013",
    )
