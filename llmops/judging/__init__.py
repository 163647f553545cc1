"""Judging a version, from its URI to the evidence: compare and gate, which are stages of their own.

``judge`` is the way of the recipe and of ``llmops gate``, ``compare`` and ``gate`` are that of a notebook,
``check`` is that of a test.
"""

from llmops.judging.assertion import check
from llmops.judging.python import compare, gate
from llmops.judging.version import judge

__all__ = ["check", "compare", "gate", "judge"]
