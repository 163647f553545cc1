"""``llmops gate``: compare a version and decide by a policy, for people and for CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import emit, output_option, page, read_recipe, recipe_argument, run_page
from llmops.errors import EXIT_OK

if TYPE_CHECKING:
    from llmops.records import Comparison, Decision


@click.command("gate")
@recipe_argument
@click.option("--candidate", help="Version to judge; default: the recipe's model at its alias.")
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    help="Held-out prompts; default: the test split that the candidate's training run kept.",
)
@click.option("--no-cache", is_flag=True, help="Use no cached answers, and cache none.")
@click.option(
    "--line",
    metavar="NAME",
    help="Candidate line whose error budget pays, such as pr-123; default: the git branch, or local.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Ask again what was decided before; this spends from the line's error budget.",
)
@click.option(
    "--sign-with",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY.pem",
    help="Sign the evidence with this Ed25519 private key; default: LLMOPS_SIGNING_KEY.",
)
@output_option
def command(
    recipe: str,
    overrides: tuple[str, ...],
    candidate: str | None,
    suite: Path | None,
    no_cache: bool,
    line: str | None,
    fresh: bool,
    sign_with: Path | None,
    output: str,
) -> int:
    """Decide by the policy of RECIPE whether a version may be promoted. No alias moves.

    The same question (bytes, suite, policy, settings) is decided once: asked again, it returns the
    decision that was recorded. Each new question of a line is judged more strictly.

    Exit codes: 0 passed, 3 rejected, 4 inconclusive.
    """
    resolved = read_recipe(recipe, overrides)
    from llmops import pipeline
    from llmops.compare import load_suite
    from llmops.compare.leakage import heldout
    from llmops.files.staging import staging
    from llmops.gate.champion import promotion_command
    from llmops.gate.lines import check_line
    from llmops.gate.signature import signing_key
    from llmops.models.resolve import resolve
    from llmops.store import connection

    key = signing_key(sign_with, os.environ)
    named = None if line is None else check_line(line, "--line")
    connection.connect()
    connection.use_experiment(resolved.name)
    uri = candidate or f"models:/{resolved.flavor.model}@{resolved.flavor.alias}"
    with staging() as folder:
        files = resolve(uri)
        path = suite or heldout.download_test_split(files, folder)
        held_out = load_suite(path, name=None if suite else f"{resolved.name}-test")
        how: Any = {"cache": not no_cache, "line": named, "fresh": fresh, "key": key}
        comparison, decision = pipeline.judge(resolved, files, held_out, **how)
    text, record = _shown(comparison, decision)
    if decision.exit_code == EXIT_OK:
        text += f"\nNext: {promotion_command(files.uri, resolved.gate.on_pass)}"
    emit(output, text, record)
    return decision.exit_code


def _shown(comparison: Comparison | None, decision: Decision) -> tuple[str, dict[str, Any]]:
    """Return text and record of a decision; those that were recorded if it was made before."""
    if comparison is not None:
        from llmops.report import comparison_table, to_json

        link, where = run_page(comparison)
        text = comparison_table(comparison, decision)
        return f"{text}\n\n{where}", {**to_json(comparison, decision), "run": link}
    from llmops.gate import reuse

    link, where = page(reuse.experiment_of(decision), reuse.run_of(decision))
    record = {**reuse.result(decision), "run": link, "reused": True}
    again = "Decided before: nothing was asked or spent; --fresh asks again."
    return f"{reuse.shown(decision)}\n\n{again}\n{where}", record
