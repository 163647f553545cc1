"""``json_schema:FILE``: whether an answer is JSON that fits a schema."""

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
    """Return a scorer that gives 1 if an answer fits the schema, 0 if not or if it is not JSON.

    Raises:
        NotFoundError: No such file.
        DataError: Not JSON, or not a JSON schema.
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
    """Return what checks a value; the draft is that of ``$schema``, 2020-12 if it names none.

    ``format`` is a note, not a check, and a ``$ref`` to another document is never fetched.
    """
    # Imported here: recipes without a schema do without the package.
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
            f"scorer json_schema: {path}: no JSON schema: at {place}: {error.message}"
        ) from error
    return kind(schema, registry=EMPTY_REGISTRY)
