"""``llmops validate``: report all problems of a recipe, or print it with its defaults."""

from __future__ import annotations

import click

from llmops.cli.options import emit, output_option, read_recipe, recipe_argument


@click.command("validate")
@recipe_argument
@output_option
def command(recipe: str, overrides: tuple[str, ...], output: str) -> None:
    """Check RECIPE without running it, and print it with all defaults."""
    resolved = read_recipe(recipe, overrides)
    emit(
        output,
        f"{resolved.to_yaml()}# valid; digest {resolved.digest()}",
        {"digest": resolved.digest(), "recipe": resolved.model_dump(mode="json")},
    )
