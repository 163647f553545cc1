"""``one_line``: whether an answer is one sentence on one line, as the summary of a docstring."""

from __future__ import annotations

import re

URL = "https://peps.python.org/pep-0257/"
CITATION = """
@misc{pep257,
  title = {{PEP} 257: Docstring Conventions},
  author = {Goodger, David and van Rossum, Guido},
  year = {2001},
  url = {https://peps.python.org/pep-0257/},
}
"""

LINE_LIMIT = 120
"""Most characters of the line."""

_SENTENCE_END = re.compile(r"[.!?][\"'\u201d\u2019\u00bb)\]}]?$")


def score(prediction: str) -> float:
    """Rate whether an answer is one sentence on one line; white space around it is ignored.

    Returns:
        1 if the answer is one line of at most 120 characters, without a code fence, that ends
        in ``.``, ``!`` or ``?`` (a closing quote or bracket may follow), else 0.
    """
    text = prediction.strip()
    short = len(text.splitlines()) == 1 and len(text) <= LINE_LIMIT
    return float(short and "```" not in text and _SENTENCE_END.search(text) is not None)
