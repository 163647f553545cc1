"""The recipe: one YAML file that runs the loop. Read it, check it, and print it in full.

A policy file holds only what judging a version needs.
"""

from llmops.recipe.load import load_policy, load_recipe
from llmops.recipe.schema import Budgets, Compare, Gate, Policy, Recipe, Requirement

__all__ = [
    "Budgets",
    "Compare",
    "Gate",
    "Policy",
    "Recipe",
    "Requirement",
    "load_policy",
    "load_recipe",
]
