"""``llmops gate``: compare a version and decide by a policy, for people and for CI."""

from __future__ import annotations

from pathlib import Path

import click

from llmops.cli.options import emit, output_option, read_recipe, recipe_argument, run_page
from llmops.errors import EXIT_OK


@click.command("gate")
@recipe_argument
@click.option("--candidate", help="Version to judge; default: the recipe's model at its alias.")
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    help="Held-out prompts; default: the test split that the candidate's training run kept.",
)
@click.option("--no-cache", is_flag=True, help="Use no cached answers, and cache none.")
@output_option
def command(
    recipe: str,
    overrides: tuple[str, ...],
    candidate: str | None,
    suite: Path | None,
    no_cache: bool,
    output: str,
) -> int:
    """Decide by the policy of RECIPE whether a version may be promoted. No alias moves.

    Exit codes: 0 passed, 3 rejected, 4 inconclusive.
    """
    resolved = read_recipe(recipe, overrides)
    from llmops import pipeline
    from llmops.compare import load_suite
    from llmops.compare.leakage import heldout
    from llmops.files.staging import staging
    from llmops.gate.champion import promotion_command
    from llmops.models.resolve import resolve
    from llmops.report import comparison_table, to_json
    from llmops.store import connection

    connection.connect()
    connection.use_experiment(resolved.name)
    uri = candidate or f"models:/{resolved.flavor.model}@{resolved.flavor.alias}"
    with staging() as folder:
        files = resolve(uri)
        path = suite or heldout.download_test_split(files, folder)
        held_out = load_suite(path, name=None if suite else f"{resolved.name}-test")
        comparison, decision = pipeline.judge(resolved, files, held_out, cache=not no_cache)
    link, page = run_page(comparison)
    text = f"{comparison_table(comparison, decision)}\n\n{page}"
    if decision.exit_code == EXIT_OK:
        text += f"\nNext: {promotion_command(comparison.candidate.uri, resolved.gate.on_pass)}"
    emit(output, text, {**to_json(comparison, decision), "run": link})
    return decision.exit_code
