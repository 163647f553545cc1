"""Statistics of paired comparisons: pure functions of numpy arrays.

Nothing here knows a model, a file or MLflow. "Candidate minus baseline" is the sign of every
difference; scores lie in [0, 1], so differences lie in [-1, 1].
"""

from llmops.stats.bradley_terry import Strengths, bradley_terry
from llmops.stats.eprocess import EProcess, confidence_sequence, log_e_values
from llmops.stats.exact import exact_test
from llmops.stats.length import LengthAdjusted, length_adjusted
from llmops.stats.multiple import benjamini_hochberg, e_holm, holm
from llmops.stats.paired import paired_test
from llmops.stats.plan import blocks, seed_of, spread_blocks
from llmops.stats.power import OutOfReachError, Planned, detectable, prompts_needed, simulated_power
from llmops.stats.ppi import Powered, powered_mean
from llmops.stats.result import SequentialResult
from llmops.stats.sequential import SequentialTest
from llmops.stats.simulation import Design
from llmops.stats.terminal import mean_interval

__all__ = [
    "Design",
    "EProcess",
    "LengthAdjusted",
    "OutOfReachError",
    "Planned",
    "Powered",
    "SequentialResult",
    "SequentialTest",
    "Strengths",
    "benjamini_hochberg",
    "blocks",
    "bradley_terry",
    "confidence_sequence",
    "detectable",
    "e_holm",
    "exact_test",
    "holm",
    "length_adjusted",
    "log_e_values",
    "mean_interval",
    "paired_test",
    "powered_mean",
    "prompts_needed",
    "seed_of",
    "simulated_power",
    "spread_blocks",
]
