"""Share of one-line answers as a Hugging Face ``evaluate`` module."""

from llmops.compare.metrics import base
from llmops.compare.scorers import text

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


class OneLine(base.MeanMetric):
    """Share of one-line answers; references may be given, and are not read."""

    about = base.About(
        name="one_line",
        score=text.one_line,
        description=_DESCRIPTION,
        citation=_CITATION,
        url="https://peps.python.org/pep-0257/",
        has_references=False,
    )
