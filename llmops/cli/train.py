"""``llmops train``: data, training and registration, without a comparison."""

from __future__ import annotations

import click

from llmops.cli.options import emit, output_option, read_recipe, recipe_argument


@click.command("train")
@recipe_argument
@output_option
def command(recipe: str, overrides: tuple[str, ...], output: str) -> None:
    """Train the adapter of RECIPE and register it as a version.

    Only the alias in flavor.alias moves to it. To resume training that was stopped, give the same
    command.
    """
    resolved = read_recipe(recipe, overrides)
    from llmops import pipeline

    with pipeline.workspace_of(resolved) as work:
        data, trained, version = pipeline.fine_tune(resolved, work)
    text = (
        f"{version.uri}: {trained.tokens:,} tokens, {trained.steps} steps, {trained.seconds / 60:.1f} min,"
        f" validation loss {trained.validation_loss:.3f}\n"
        f"Next: llmops gate {recipe} --candidate {version.uri}"
    )
    record = {
        "version": version.uri,
        "run_id": trained.run_id,
        "data_digest": data.digest,
        "tokens": trained.tokens,
        "seconds": trained.seconds,
        "validation_loss": trained.validation_loss,
    }
    emit(output, text, record)
