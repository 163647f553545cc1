"""What to name instead of a model, version or alias that the registry does not have."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches

from llmops.errors import NotFoundError
from llmops.records.names import MODEL_NAME
from llmops.store.connection import client

SHOWN = 5
"""Versions or names that a message lists."""
MOST = 1_000
"""Names that are read from the registry."""


def missing(what: str, name: str) -> NotFoundError:
    """Return the error about something missing, with what there is and the command to type.

    Args:
        what: The message so far, such as ``models:/bot/9: no such version``.
        name: The registered model that was named.
    """
    versions, names = _versions(name), []
    if versions:
        known = ", ".join(str(version) for version in versions[-SHOWN:])
        count = "" if len(versions) <= SHOWN else f" {len(versions)} versions, the latest"
        return NotFoundError(
            f"{what}; {name} has{count or ' the versions'} {known}",
            next_command=f"llmops show models:/{name}/{versions[-1]}",
        )
    with suppress(Exception):  # only the advice is lost
        names = [model.name for model in client().search_registered_models(max_results=MOST)]
    near = get_close_matches(name, names, n=1)
    if near:
        latest = _versions(near[0])
        number = latest[-1] if latest else 1
        return NotFoundError(
            f"{what}; did you mean {near[0]}?",
            next_command=f"llmops show models:/{near[0]}/{number}",
        )
    if names:
        more = ", …" if len(names) > SHOWN else ""
        return NotFoundError(
            f"{what}; registered models: {', '.join(names[:SHOWN])}{more}",
            next_command=f"llmops show models:/{names[0]}/1",
        )
    return NotFoundError(
        f"{what}; the registry has no models", next_command="llmops run quickstart"
    )


def _versions(name: str) -> list[int]:
    """Return the version numbers of a model in ascending order; none if it does not exist."""
    if not MODEL_NAME.fullmatch(name):
        return []
    with suppress(Exception):  # only the advice is lost
        found = client().search_model_versions(f"name = '{name}'")
        return sorted(int(version.version) for version in found)
    return []
