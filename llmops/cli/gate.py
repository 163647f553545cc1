"""``llmops gate``: compare a version and decide by a policy, for people and for CI."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from llmops.cli.ci import Outputs, Shown, ci_options, pages
from llmops.cli.options import emit, output_option, read_recipe, recipe_argument


@click.command("gate")
@recipe_argument
@click.option("--candidate", help="Version to judge; default: the recipe's model at its alias.")
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    help="Held-out prompts; default: the test split that the candidate's training run kept.",
)
@click.option("--no-cache", is_flag=True, help="Use no cached answers, and cache none.")
@ci_options
@output_option
def command(
    recipe: str,
    overrides: tuple[str, ...],
    candidate: str | None,
    suite: Path | None,
    no_cache: bool,
    output: str,
    outputs: Outputs,
) -> int:
    """Decide by the policy of RECIPE whether a version may be promoted. No alias moves.

    Exit codes: 0 passed, 3 rejected, 4 inconclusive.
    """
    resolved = read_recipe(recipe, overrides)
    from llmops import pipeline
    from llmops.compare import load_suite
    from llmops.compare.leakage import heldout
    from llmops.files.staging import staging
    from llmops.models.resolve import resolve
    from llmops.report import comparison_table, html_report, to_json
    from llmops.report.ci import next_step, summary
    from llmops.store import connection

    connection.connect()
    connection.use_experiment(resolved.name)
    uri = candidate or f"models:/{resolved.flavor.model}@{resolved.flavor.alias}"
    with staging() as folder:
        files = resolve(uri)
        path = suite or heldout.download_test_split(files, folder)
        held_out = load_suite(path, name=None if suite else f"{resolved.name}-test")
        comparison, decision = pipeline.judge(resolved, files, held_out, cache=not no_cache)
    links, lines = pages(comparison)
    record = {**to_json(comparison, decision), "run": links["Run"]}
    price = resolved.cost.usd_per_hour
    markdown = summary(comparison, decision, links, usd_per_hour=price)
    report = partial(html_report, comparison, decision)
    outputs.decided(Shown(decision, files.uri, comparison, markdown, record, report))
    step = f"Next: {next_step(decision, files.uri)}"
    emit(output, f"{comparison_table(comparison, decision)}\n\n{lines}\n{step}", record)
    return decision.exit_code
