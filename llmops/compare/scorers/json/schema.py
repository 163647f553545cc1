"""``json_schema:FILE``: whether an answer is JSON that conforms to a schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmops.compare.scorers.json.strict import NOT_JSON, parse
from llmops.compare.scorers.scorer import Scorer, named_scorer
from llmops.errors import DataError, NotFoundError
from llmops.recipe.scorer_names import ScorerName
from llmops.records import Example

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def load(name: ScorerName, folder: Path) -> Scorer:
    """Return a scorer that gives 1 to JSON that conforms to the schema, and 0 to anything else.

    Raises:
        NotFoundError: The file does not exist.
        DataError: The file is not JSON, or not a JSON schema.
    """
    path = folder / name.argument
    if not path.is_file():
        raise NotFoundError(f"scorer json_schema: {path}: no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        validator = _validator(parse(text), path)
    except NOT_JSON as error:
        raise DataError(f"scorer json_schema: {path}: not JSON: {error}") from error

    def fits(_: Example, answer: str) -> float:
        try:
            return float(validator.is_valid(parse(answer)))
        except NOT_JSON:
            return 0.0

    return named_scorer(name, fits, source=text)


def _validator(schema: object, path: Path) -> Validator:
    """Return a validator of the draft in ``$schema``, by default 2020-12.

    ``format`` is an annotation and not checked; a ``$ref`` to another document is never fetched.
    """
    # Imported here: only recipes with a schema need the package.
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    try:
        if not isinstance(schema, dict):
            raise SchemaError(f"expected an object, received {schema!r:.80}")
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "the top"
        raise DataError(
            f"scorer json_schema: {path}: not a JSON schema: at {place}: {error.message}"
        ) from error
    return kind(schema, registry=EMPTY_REGISTRY)
