"""Stage ``compare``: two sides, the same held-out prompts, a paired answer."""

from llmops._callable import make_callable
from llmops.compare.harness import compare, compare_all
from llmops.compare.standings import standings
from llmops.compare.suite import load_suite

__all__ = ["compare", "compare_all", "load_suite", "standings"]

make_callable(__name__, compare)
