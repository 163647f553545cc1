"""What a candidate is measured against."""

from __future__ import annotations

from pathlib import Path

from llmops.files.home import write_whole
from llmops.models.bases import fetch
from llmops.recipe.schema import Recipe
from llmops.records import BaseModel, ModelVersion
from llmops.store import registry


def baseline(recipe: Recipe, base: BaseModel) -> str:
    """Return the URI of what ``compare.baseline`` names: the bare base while there is no champion."""
    named = recipe.compare.baseline
    if named.startswith("models:/"):
        return named
    version = None if named == "base" else registry.version_of_alias(recipe.flavor.model, named)
    return base.uri if version is None else f"models:/{recipe.flavor.model}/{version}"


def remembered_baseline(work: Path, recipe: Recipe, version: ModelVersion) -> str:
    """Return the baseline's URI, kept for a run that is resumed after its promotion.

    The candidate is the champion by then, and would be compared with itself.

    Args:
        work: The run's workspace, where the URI is kept.
        recipe: The recipe.
        version: The candidate.
    """
    path = work / f"baseline-of-v{version.version}"
    now = baseline(recipe, fetch(version.base_digest))
    if now == version.uri and path.is_file():
        return path.read_text(encoding="utf-8")
    write_whole(path, now)
    return now
