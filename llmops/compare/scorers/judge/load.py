"""``judge:MODEL``: a model that decides which of two answers is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from llmops.compare.scorers.judge.askers import load_judge
from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.recipe.scorer_names import ScorerName


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return a scorer that asks a model; raises the errors of ``load_judge``.

    Args:
        name: Name of the scorer; its argument names the model.
        folder: Not used: the model is not a file beside the recipe.
    """
    asker = load_judge(name.argument)
    return replace(named_scorer(name, None, source=asker.digest), asker=asker)
