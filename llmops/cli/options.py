"""Arguments and output that the verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from llmops.recipe.catalog import find
from llmops.recipe.load import load_recipe
from llmops.recipe.schema import Recipe

Function = TypeVar("Function", bound=Callable[..., Any])

SCHEMA_VERSION = 1


def recipe_argument(function: Function) -> Function:
    """``RECIPE [KEY=VALUE]…``: passes ``recipe`` on as a checked ``Recipe``."""
    function = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")(function)
    return click.argument("recipe", metavar="RECIPE")(function)


def output_option(function: Function) -> Function:
    """``--output table|json``."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="What stdout carries; progress goes to stderr.",
    )(function)


def read_recipe(reference: str, overrides: tuple[str, ...]) -> Recipe:
    """The recipe a user names, with overrides, checked."""
    return load_recipe(find(reference), overrides)


def emit(output: str, text: str, record: dict[str, Any]) -> None:
    """Prints a result as text, or the record as JSON."""
    if output == "json":
        text = json.dumps({"schema_version": SCHEMA_VERSION, **record}, indent=2, default=str)
    click.echo(text)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as aligned columns."""
    # Not tabulate: it would save three lines here, and cost a dependency and its import.
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
