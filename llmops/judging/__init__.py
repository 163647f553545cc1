"""Judging a version, from its URI to the evidence: compare and gate, which are stages of their own.

``judge`` is the way of the recipe and of ``llmops gate``, ``gate`` that of a notebook, ``check`` that of a
test.
"""

from llmops.judging.check import check
from llmops.judging.gate import gate
from llmops.judging.judge import judge

__all__ = ["check", "gate", "judge"]
