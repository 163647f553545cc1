"""Word-overlap F1 as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base
from llmops.compare.scorers import text

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


class TokenF1(base.MeanMetric):
    """Word-overlap F1."""

    about = base.About(
        name="token_f1",
        score=text.token_f1,
        description=_DESCRIPTION,
        citation=_CITATION,
        url="https://arxiv.org/abs/1606.05250",
    )
