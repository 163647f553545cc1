"""Statistics of paired comparisons: numpy and scipy alone, pure functions."""

from llmops.stats.paired import paired_test

__all__ = ["paired_test"]
