"""Stage ``compare``: two sides, the same held-out prompts, a paired answer."""

from llmops.compare.harness import compare, compare_all, comparison_run
from llmops.compare.standings import standings
from llmops.compare.suite.load import load_suite

__all__ = ["compare", "compare_all", "comparison_run", "load_suite", "standings"]
