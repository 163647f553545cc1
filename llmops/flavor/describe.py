"""The description of a version in MLflow: what the version is made of."""

from __future__ import annotations

from functools import partial

from llmops.errors import LlmopsError
from llmops.models.lineage import lineage
from llmops.models.stored import SavedModel
from llmops.progress import say
from llmops.report.lineage import with_lineage
from llmops.store import registry


def describe(name: str, version: str, copy: SavedModel | None = None) -> None:
    """Write a version's lineage into its description and that of its logged model.

    Text above the lineage, such as the evidence card, is kept. A version is complete without a
    description, so a failure is only a warning.

    Args:
        name: Registered model.
        version: Its version.
        copy: See ``lineage``.
    """
    uri = f"models:/{name}/{version}"
    try:
        origin = lineage(uri, copy)
        registry.redescribe(name, version, origin.model_id, partial(with_lineage, lineage=origin))
    except LlmopsError as error:
        say(f"warning: {uri} has no description: {error}")
