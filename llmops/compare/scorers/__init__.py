"""Scorers: functions that rate each answer from 0 to 1. A built-in one is a file and a table entry."""

from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import require_expected, score

__all__ = ["load_scorers", "require_expected", "score"]
