"""``llmops recipes``: list, show and copy the packaged recipes."""

from __future__ import annotations

from pathlib import Path

import click

from llmops.cli.options import columns
from llmops.recipe import catalog as packaged
from llmops.recipe import copying


@click.group("recipes")
def command() -> None:
    """List, show and copy the recipes that come with llmops."""


@command.command("ls")
def ls() -> None:
    """List the packaged recipes with their purpose."""
    click.echo(columns([(name, _purpose(name)) for name in packaged.names()]))


@command.command("show")
@click.argument("recipe")
def show(recipe: str) -> None:
    """Print the file of RECIPE, comments included."""
    click.echo(packaged.read(packaged.find(recipe)), nl=False)


@command.command("cp", short_help="Copy the folder of a recipe.")
@click.argument("recipe")
@click.argument("target", required=False, type=click.Path(path_type=Path))
def cp(recipe: str, target: Path | None) -> None:
    """Copy the folder of RECIPE to TARGET (default: ./RECIPE), where you can edit it.

    `ci` is the folder with files for GitHub, GitLab and Jenkins that gate a pull request.
    """
    for_ci = recipe == packaged.CI
    source = packaged.folder() / recipe if for_ci else packaged.find(recipe).parent
    target = target or Path(source.resolve().name)
    copying.copy(source, target)
    then = f"less {target}/README.md" if for_ci else f"llmops run {target}"
    click.echo(f"{target}\n  Next: {then}")


def _purpose(name: str) -> str:
    """Return the ``# Purpose:`` of the header, up to its first full stop."""
    header = packaged.find(name).read_text(encoding="utf-8").partition("# Needs:")[0]
    words = " ".join(header.replace("#", " ").split()).removeprefix("Purpose:").strip()
    return words.partition(". ")[0]
