"""``json_fields``: agreement of two JSON values, leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmops.compare.scorers.json.strict import NOT_JSON, parse

URL = "https://www.rfc-editor.org/rfc/rfc8259"
CITATION = """
@misc{rfc8259,
  title = {The {JavaScript} Object Notation ({JSON}) Data Interchange Format},
  author = {Bray, Tim},
  year = {2017},
  url = {https://www.rfc-editor.org/rfc/rfc8259},
}
"""

Place = tuple[str | int, ...]
"""Keys and list positions that lead to a leaf."""


def score(prediction: str, reference: str) -> float:
    """Return the F1 of the leaves of two JSON values.

    A leaf is a text, number, boolean, null or empty container, together with its place. Numbers
    compare as numbers (1 equals 1.0), texts character by character.

    Returns:
        Twice the number of leaves with the same place and value, divided by the number of leaves
        of both. 0 if the answer is not JSON; a code fence around it is not JSON.

    Raises:
        ValueError: The reference is not JSON.
    """
    try:
        wanted = dict(_leaves(parse(reference)))
    except NOT_JSON as error:
        raise ValueError(f"the expected answer is not JSON: {error}") from error
    try:
        answered = dict(_leaves(parse(prediction)))
    except NOT_JSON:
        return 0.0
    same = sum(place in answered and answered[place] == leaf for place, leaf in wanted.items())
    return 2 * same / (len(wanted) + len(answered))


def _leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, tuple[type, Any]]]:
    """Yield places and leaves; a leaf includes its type, since true equals 1 in Python."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*place, key))
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from _leaves(inner, (*place, i))
    else:
        yield place, (float if type(value) is int else type(value), value)
