"""Planning by simulation: data drawn for an assumption, and the product's own test on them."""

from llmops.stats.simulation.design import Design
from llmops.stats.simulation.draws import draw
from llmops.stats.simulation.runs import Runs, run
from llmops.stats.simulation.trinomial import exact_power

__all__ = ["Design", "Runs", "draw", "exact_power", "run"]
