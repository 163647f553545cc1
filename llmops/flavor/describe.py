"""The description of a version: what it is made of, where people look first."""

from __future__ import annotations

from functools import partial

from llmops.errors import LlmopsError
from llmops.models.lineage import lineage
from llmops.models.stored import SavedModel
from llmops.progress import say
from llmops.report.lineage import with_lineage
from llmops.store import registry


def describe(name: str, version: str, copy: SavedModel | None = None) -> None:
    """Writes a version's lineage into its description and into that of its logged model.

    What stands above the lineage, such as the evidence card, stays. The version is whole without
    a description, so that a failure is told and not raised.

    Args:
        name: Registered model.
        version: Its version.
        copy: See ``lineage``.
    """
    uri = f"models:/{name}/{version}"
    try:
        found = lineage(uri, copy)
        registry.redescribe(name, version, found.model_id, partial(with_lineage, lineage=found))
    except LlmopsError as error:
        say(f"warning: {uri} has no description: {error}")
