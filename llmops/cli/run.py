"""``llmops run``: run the whole loop of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from llmops.cli.options import emit, output_option, read_recipe, recipe_argument
from llmops.recipe import expected
from llmops.recipe.catalog import find

if TYPE_CHECKING:
    from llmops.pipeline import Outcome


@click.command("run")
@recipe_argument
@output_option
def command(recipe: str, overrides: tuple[str, ...], output: str) -> int:
    """Run RECIPE: data, train, register, compare, gate, promote, serve.

    RECIPE is a YAML file, a folder with recipe.yaml, or the name of a packaged recipe. To resume a
    run that was stopped, give the same command.

    Exit code 0 passed, 3 rejected, 4 inconclusive; 2 if it passed, and may not be promoted: the policy
    or the test split is not that of the champion's promotion. If the version has the same bytes as its
    baseline, as after an unchanged recipe, nothing is compared and no alias moves: exit code 0.

    Example: llmops run quickstart train.epochs=2
    """
    path = find(recipe)
    resolved = read_recipe(str(path), overrides)
    bounds = expected.tolerances(path, resolved)
    from llmops import pipeline
    from llmops.report import to_json

    outcome = pipeline.run(resolved)
    comparison = outcome.comparison and to_json(outcome.comparison, outcome.decision)
    emit(output, text(outcome, bounds), {**summary(outcome), "comparison": comparison})
    if outcome.refusal is not None:
        raise outcome.refusal
    return outcome.exit_code


def summary(outcome: Outcome) -> dict[str, object]:
    """Return the run in numbers, as ``--output json`` prints them."""
    return {
        "version": outcome.version.uri,
        "tokens": outcome.trained.tokens,
        "seconds": round(outcome.seconds, 1),
        "train_seconds": round(outcome.trained.seconds, 1),
        "cost_usd": round(cost(outcome), 4),
        "peak_memory_bytes": outcome.trained.peak_memory,
        "validation_loss": round(outcome.trained.validation_loss, 4),
        "answer": outcome.answer,
        "refused": outcome.refusal and outcome.refusal.message,
    }


def cost(outcome: Outcome) -> float:
    """Return the estimated price of this run in US dollars."""
    return outcome.seconds / 3600 * outcome.recipe.cost.usd_per_hour


def text(outcome: Outcome, bounds: Mapping[str, float]) -> str:
    """Return the run as text for a person: table, verdict, links, next command."""
    from llmops.report import comparison_table

    trained, version = outcome.trained, outcome.version
    facts = [
        (
            "Trained",
            f"{version.uri}: LoRA on {trained.base.name}, {outcome.data.train.rows} examples,"
            f" {trained.tokens:,} tokens, {trained.steps} steps",
        ),
        (
            "Took",
            f"{outcome.seconds / 60:.1f} min, peak memory {trained.peak_memory / 2**30:.1f} GiB,"
            f" about ${cost(outcome):.2f} at ${outcome.recipe.cost.usd_per_hour:.2f} per hour",
        ),
        *judged(outcome, bounds),
        *([("Served", f"{version.uri} answered: {outcome.answer}")] if outcome.answer else []),
        *links(outcome),
        ("Next", next_command(outcome)),
    ]
    lines = [f"{word:<10} {fact}" for word, fact in facts]
    if outcome.comparison is None:
        return "\n".join(lines)
    return "\n".join([comparison_table(outcome.comparison, outcome.decision), "", *lines])


def judged(outcome: Outcome, bounds: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the verdict, and how the figures compare with the expected ones."""
    if outcome.decision is None:
        same = f"{outcome.version.uri} has the same bytes as {outcome.baseline}"
        return [("Verdict", f"none: {same}, so there is nothing to compare; no alias moved")]
    if outcome.comparison is None:
        return [("Verdict", f"{outcome.decision.sentence} (decided before: nothing was asked)")]
    found = expected.report(outcome.comparison, bounds)
    return [("Verdict", outcome.decision.sentence), *(("Expected", line) for line in found)]


def links(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the pages in MLflow, and the command that starts a server for them if none runs."""
    from llmops.store import connection

    version, comparison = outcome.version, outcome.comparison
    found = [("Version", connection.ui(f"/models/{version.name}/versions/{version.version}"))]
    if comparison is not None:
        page = connection.ui(f"/experiments/{comparison.experiment_id}/runs/{comparison.run_id}")
        found.append(("Run", page))
    hint = connection.ui_hint()
    return [*found, *([("", f"needs: {hint}")] if hint else [])]


def next_command(outcome: Outcome) -> str:
    """Return the next step: deploy the champion, or change something and rerun."""
    name, alias = outcome.version.name, outcome.recipe.gate.on_pass
    if outcome.refusal is not None:
        return outcome.refusal.next_command or f"@{alias} did not move"
    if outcome.passed:
        return f"mlflow deployments create -t llmops --name {name} -m models:/{name}@{alias}"
    return f"change the data or the recipe, then rerun; @{alias} did not move"
