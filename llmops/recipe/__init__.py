"""The recipe: one YAML file that runs the loop. Read it, check it, and print it in full."""

from llmops.recipe.load import load_recipe
from llmops.recipe.schema import Compare, Gate, Recipe, Requirement

__all__ = ["Compare", "Gate", "Recipe", "Requirement", "load_recipe"]
