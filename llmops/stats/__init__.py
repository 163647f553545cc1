"""Statistics of paired comparisons: numpy and scipy alone, pure functions."""

from llmops.stats.bradley_terry import Strengths, bradley_terry
from llmops.stats.eprocess import EProcess, confidence_sequence, log_e_values
from llmops.stats.exact import exact_test
from llmops.stats.multiple import benjamini_hochberg, e_holm, holm
from llmops.stats.paired import paired_test
from llmops.stats.plan import blocks, seed_of
from llmops.stats.ppi import Powered, powered_mean
from llmops.stats.result import SequentialResult
from llmops.stats.sequential import SequentialTest

__all__ = [
    "EProcess",
    "Powered",
    "SequentialResult",
    "SequentialTest",
    "Strengths",
    "benjamini_hochberg",
    "blocks",
    "bradley_terry",
    "confidence_sequence",
    "e_holm",
    "exact_test",
    "holm",
    "log_e_values",
    "paired_test",
    "powered_mean",
    "seed_of",
]
