"""``llmops run``: the whole loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmops.cli.options import emit, output_option, read_recipe, recipe_argument

if TYPE_CHECKING:
    from llmops.pipeline import Outcome


@click.command("run")
@recipe_argument
@output_option
def command(recipe: str, overrides: tuple[str, ...], output: str) -> int:
    """Run RECIPE: data, train, register, compare, gate, promote, serve.

    RECIPE is a YAML file, a folder with recipe.yaml, or the name of a packaged recipe. A run that
    was stopped goes on where it was when the same command is given again.

    Example: llmops run quickstart train.epochs=2
    """
    resolved = read_recipe(recipe, overrides)
    from llmops import pipeline
    from llmops.report import to_json

    outcome = pipeline.run(resolved)
    record = {**summary(outcome), **to_json(outcome.comparison, outcome.decision)}
    emit(output, text(outcome), record)
    return outcome.decision.exit_code


def summary(outcome: Outcome) -> dict[str, object]:
    """The run in numbers."""
    return {
        "version": outcome.version.uri,
        "tokens": outcome.trained.tokens,
        "seconds": round(outcome.seconds, 1),
        "train_seconds": round(outcome.trained.seconds, 1),
        "cost_usd": round(outcome.seconds / 3600 * outcome.recipe.cost.usd_per_hour, 4),
        "peak_memory_bytes": outcome.trained.peak_memory,
        "validation_loss": round(outcome.trained.validation_loss, 4),
        "answer": outcome.answer,
    }


def text(outcome: Outcome) -> str:
    """The run as a person reads it: table, verdict, links, next command."""
    from llmops import registry
    from llmops.report import comparison_table

    numbers = summary(outcome)
    trained, version = outcome.trained, outcome.version
    size = (trained.adapter_dir.name, version.uri)
    lines = [
        comparison_table(outcome.comparison, outcome.decision),
        "",
        f"Trained    {size[1]}: LoRA on {trained.base.name}, {outcome.data.train.rows} examples, "
        f"{trained.tokens:,} tokens, {trained.steps} steps",
        f"Took       {outcome.seconds / 60:.1f} min, peak memory {trained.peak_memory / 2**30:.1f} GiB, "
        f"about ${numbers['cost_usd']:.2f} at ${outcome.recipe.cost.usd_per_hour:.2f} per hour",
        f"Verdict    {outcome.decision.sentence}",
    ]
    if outcome.answer is not None:
        lines.append(f"Served     {version.uri} answered: {outcome.answer}")
    lines += [f"Look       {registry.ui(f'/models/{version.name}/versions/{version.version}')}"]
    if registry.ui_hint() is not None:
        lines.append(f"           after: {registry.ui_hint()}")
    lines.append(f"Next       {next_command(outcome)}")
    return "\n".join(lines)


def next_command(outcome: Outcome) -> str:
    """What a user would do now."""
    name, alias = outcome.version.name, outcome.recipe.gate.on_pass
    if outcome.decision.passed:
        return f"mlflow deployments create -t llmops --name {name} -m models:/{name}@{alias}"
    return f"change data or recipe, then `llmops run` again; {alias} stays where it was"
