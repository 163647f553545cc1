"""Arguments, options and output that the verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmops.recipe.catalog import find
from llmops.recipe.load import load_policy, load_recipe
from llmops.recipe.schema import Policy, Recipe

if TYPE_CHECKING:
    from llmops.records import Comparison

Function = TypeVar("Function", bound=Callable[..., Any])

SCHEMA_VERSION = 1
OF_A_POLICY = ("gate", "compare")
"""Sections that a policy and a recipe share."""


def recipe_argument(function: Function) -> Function:
    """Add the arguments ``RECIPE [KEY=VALUE]…``, passed on as ``recipe`` and ``overrides``."""
    function = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")(function)
    return click.argument("recipe", metavar="RECIPE")(function)


def output_option(function: Function) -> Function:
    """Add the option ``--output table|json``."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Format of the result on stdout. Progress goes to stderr.",
    )(function)


def read_recipe(reference: str, overrides: Sequence[str], *, code: bool = False) -> Recipe:
    """Return the recipe that a user names, with overrides applied.

    Args:
        reference: See ``llmops.recipe.catalog.find``.
        overrides: ``KEY=VALUE`` texts, which may tighten the recipe's policy and not loosen it.
        code: Whether it may name scorers that import modules.

    Raises:
        NotFoundError: There is no such recipe.
        ConfigError: The recipe or an override is wrong; all problems are reported.
        UsageError: An override loosens the policy.
    """
    path = find(reference)
    recipe = load_recipe(path, overrides, code=code)
    others = _without_policy(overrides)
    if len(others) < len(overrides):
        _refuse_looser(load_recipe(path, others, code=code).policy(), recipe.policy())
    return recipe


def read_policy(path: Path, overrides: Sequence[str], *, code: bool = False) -> Policy:
    """Return a policy file with overrides applied; see ``read_recipe``.

    Raises:
        NotFoundError: There is no such file.
        ConfigError: The policy or an override is wrong; all problems are reported.
        UsageError: An override loosens the policy.
    """
    policy = load_policy(path, overrides, code=code)
    others = _without_policy(overrides)
    if len(others) < len(overrides):
        _refuse_looser(load_policy(path, others, code=code), policy)
    return policy


def _without_policy(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that cannot loosen a policy."""
    return [each for each in overrides if each.partition("=")[0].split(".")[0] not in OF_A_POLICY]


def _refuse_looser(file_policy: Policy, effective: Policy) -> None:
    from llmops.gate.looser import refuse_looser  # imports MLflow

    refuse_looser(file_policy, effective)


def run_page(comparison: Comparison) -> tuple[str, str]:
    """Return the address of a comparison's run in MLflow, and the lines that print it.

    If the store is not a server, a second line has the command that starts one.
    """
    return page(comparison.experiment_id, comparison.run_id)


def page(experiment_id: str, run_id: str) -> tuple[str, str]:
    """Return the address of a run in MLflow, and the lines that print it; see ``run_page``."""
    from llmops.store import connection

    link = connection.ui(f"/experiments/{experiment_id}/runs/{run_id}")
    hint = connection.ui_hint()
    return link, f"Run: {link}" + (f"\n     needs: {hint}" if hint else "")


def emit(output: str, text: str, record: dict[str, Any]) -> None:
    """Print a result: the text, or with ``json`` the record and ``schema_version``."""
    if output == "json":
        text = json.dumps({"schema_version": SCHEMA_VERSION, **record}, indent=2, default=str)
    click.echo(text)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as left-aligned columns, two spaces apart.

    Args:
        rows: At least one row; all rows have the same number of cells.
    """
    # Not tabulate: it would save three lines here, and cost a dependency and its import.
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
