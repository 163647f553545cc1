"""Stage ``compare``: two sides, the same held-out prompts, a paired answer."""

from llmops._callable import make_callable
from llmops.compare.harness import compare
from llmops.compare.suite import load_suite

__all__ = ["compare", "load_suite"]

make_callable(__name__, compare)
