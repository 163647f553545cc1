"""Scores of answers that ought to be JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from llmops.errors import DataError, NotFoundError

NO_JSON = (ValueError, RecursionError)
"""What parsing raises: RFC 8259 is broken, or the nesting is deeper than Python's stack."""


def json_fields(prediction: str, reference: str) -> float:
    """Agreement of two JSON values, leaf by leaf.

    A leaf is a text, number, boolean, null or empty container with the keys and positions that
    lead to it. Numbers are equal as numbers (1 and 1.0), texts character by character.

    Returns:
        F1 of the leaves: twice those with the same place and value, over all of both. 0 if the
        answer is not JSON; a code fence around it is not JSON.

    Raises:
        ValueError: The reference is not JSON.
    """
    try:
        wanted = dict(_leaves(parse(reference)))
    except NO_JSON as error:
        raise ValueError(f"the expected answer is not JSON: {error}") from error
    try:
        found = dict(_leaves(parse(prediction)))
    except NO_JSON:
        return 0.0
    same = sum(place in found and found[place] == leaf for place, leaf in wanted.items())
    return 2 * same / (len(wanted) + len(found))


def json_schema(path: Path) -> tuple[Callable[[str], float], str]:
    """A scorer that says whether an answer is JSON that fits a schema.

    The draft is that of the schema's ``$schema``, 2020-12 if it names none. ``format`` is a note,
    not a check, and a ``$ref`` to another document is never fetched.

    Args:
        path: File that holds the schema.

    Returns:
        The scorer (1 fits, 0 does not or is not JSON), and the text of the schema.

    Raises:
        NotFoundError: No such file.
        DataError: Not JSON, or not a JSON schema.
    """
    # Imported here: recipes without a schema do without the package.
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    if not path.is_file():
        raise NotFoundError(f"scorer json_schema: {path}: no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        schema = parse(text)
        if not isinstance(schema, dict):
            raise SchemaError(f"expected an object, received {schema!r:.80}")
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
    except NO_JSON as error:
        raise DataError(f"scorer json_schema: {path}: not JSON: {error}") from error
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "the top"
        raise DataError(
            f"scorer json_schema: {path}: no JSON schema: at {place}: {error.message}"
        ) from error
    validator = kind(schema, registry=EMPTY_REGISTRY)

    def fits(prediction: str) -> float:
        try:
            return float(validator.is_valid(parse(prediction)))
        except NO_JSON:
            return 0.0

    return fits, text


def parse(text: str) -> Any:
    """One JSON value, white space around it allowed.

    Raises:
        ValueError: Not JSON; NaN and infinities, which Python would read, are not.
        RecursionError: Nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _leaves(
    value: Any, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], tuple[type, Any]]]:
    """Places and values; the kind keeps true from being 1."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*place, key))
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from _leaves(inner, (*place, i))
    else:
        yield place, (float if type(value) is int else type(value), value)
