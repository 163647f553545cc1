"""The result of ``llmops.gate.check``: true if the version passed, and readable if it did not."""

from __future__ import annotations

from dataclasses import dataclass

from llmops.records import Decision
from llmops.report import wording


@dataclass(frozen=True, repr=False)
class Checked:
    """A decision for an ``assert``.

    ``bool`` is whether the version passed, ``repr`` the verdict in one line, which pytest shows in its
    first line, and ``str`` the Markdown summary that a job shows.

    Attributes:
        decision: Decision of the gate.
        summary: The Markdown summary.
    """

    decision: Decision
    summary: str

    def __bool__(self) -> bool:
        return self.decision.passed

    def __repr__(self) -> str:
        status = wording.status(self.decision)
        return f"<{status}: {wording.clean(self.decision.sentence, 200)}>"

    def __str__(self) -> str:
        return self.summary
