"""Annotations of a job on GitHub: lines that its runner shows on the pull request.

GitHub shows ten of a step and fifty of a job, so a decision takes at most three.
"""

from __future__ import annotations

from llmops.records import Comparison, Decision
from llmops.report import wording
from llmops.report.ci.steps import headline, next_step, reason
from llmops.report.wording import clean

MOST = 3
LIMIT = 400
"""Characters of one message."""


def annotation_lines(
    decision: Decision, uri: str, comparison: Comparison | None = None
) -> list[str]:
    """Return at most three lines: the verdict, then requirements that do not hold or are open.

    Args:
        decision: Decision of the gate.
        uri: The version that was judged.
        comparison: Result of the comparison, for figures; ``None`` if it is not at hand.

    Returns:
        No line for a decision that passed with every requirement shown to hold.

    Example:
        from llmops.report.ci import annotation_lines

        for line in annotation_lines(decision, "models:/bot/3", comparison):
            print(line)
    """
    status = wording.status(decision)
    about = [check for check in decision.checks if check.passed is not True]
    about.sort(key=lambda check: check.passed is None)  # those that do not hold first
    if not about:
        return []
    verdict = f"{headline(decision).partition(': ')[2]}; next: {next_step(decision, uri)}"
    level = "warning" if status == "PASSED" else "error"
    lines = [_line(level, f"Gate {status}", verdict)]
    for check in about[: MOST - 1]:
        kind = "error" if check.passed is False else "warning"
        lines.append(_line(kind, "Requirement", reason(check, comparison)))
    return lines


def no_verdict_annotation(message: str) -> str:
    """Return the line that says that no verdict was reached."""
    return _line("error", "Gate without a verdict", f"no verdict was reached: {message}")


def _line(level: str, title: str, message: str) -> str:
    """Return a workflow command; a line break or a colon in it would end it, or begin another."""
    return f"::{level} title={_escaped(clean(title, 80), ':,')}::{_escaped(clean(message, LIMIT))}"


def _escaped(text: str, more: str = "") -> str:
    for character in ("%", "\r", "\n", *more):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
