"""The baseline that a candidate is compared with."""

from __future__ import annotations

from pathlib import Path

from llmops.files.home import write_whole
from llmops.models.bases import fetch
from llmops.recipe.schema import Recipe
from llmops.records import BaseModel, ModelVersion
from llmops.store import registry


def baseline(recipe: Recipe, base: BaseModel) -> str:
    """Return the URI of the recipe's baseline: the bare base while there is no champion.

    Args:
        recipe: The recipe, whose ``compare.baseline`` is an alias, ``base`` or a ``models:/`` URI.
        base: The base model of the candidate.
    """
    named = recipe.compare.baseline
    if named.startswith("models:/"):
        return named
    version = None if named == "base" else registry.version_of_alias(recipe.flavor.model, named)
    return base.uri if version is None else f"models:/{recipe.flavor.model}/{version}"


def remembered_baseline(work: Path, recipe: Recipe, version: ModelVersion) -> str:
    """Return the baseline's URI, and remember it for a run that is resumed after its promotion.

    By then the candidate is the champion and would be compared with itself.

    Args:
        work: Workspace of the run, where the URI is kept.
        recipe: The recipe.
        version: The candidate.

    Raises:
        StoreError: The base model cannot be fetched, or the store does not answer.
    """
    path = work / f"baseline-of-v{version.version}"
    now = baseline(recipe, fetch(version.base_digest))
    if now == version.uri and path.is_file():
        return path.read_text(encoding="utf-8")
    write_whole(path, now)
    return now
