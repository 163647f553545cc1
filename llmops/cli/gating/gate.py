"""``llmops gate``: compare a version and decide by a policy, for people and for CI."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.gating.ci import Outputs, Shown, ci_options, pages
from llmops.cli.gating.task import Task, against, task
from llmops.cli.options import emit, output_option, page
from llmops.errors import EXIT_OK

if TYPE_CHECKING:
    from llmops.records import Comparison, Decision, ModelFiles, Suite

FILE = click.Path(path_type=Path)


@click.command("gate")
@click.argument("given", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...")
@click.option(
    "--policy", "policy_file", type=FILE, help="Policy file to judge by, without a recipe."
)
@click.option("--candidate", help="Version to judge; default: the model at its alias.")
@click.option(
    "--baseline", help="Alias, `base`, or version to compare with; default: the policy's."
)
@click.option(
    "--suite",
    type=FILE,
    help="Held-out prompts; default: the policy's, or the test split that the candidate's training"
    " run kept.",
)
@click.option(
    "--allow-code",
    is_flag=True,
    help="Allow `mlflow:` and `evaluate:` scorers, which import code, where the policy names them.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the prompts, tokens, minutes and dollars to come; generate nothing.",
)
@click.option("--no-cache", is_flag=True, help="Use no cached answers, and cache none.")
@click.option(
    "--line",
    metavar="NAME",
    help="Candidate line whose error budget pays, such as pr-123; default: the pull request, else the"
    " git branch, else local.",
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
@ci_options
@output_option
def command(
    given: tuple[str, ...],
    policy_file: Path | None,
    candidate: str | None,
    baseline: str | None,
    suite: Path | None,
    dry_run: bool,
    output: str,
    outputs: Outputs,
    **options: Any,
) -> int:
    """Decide by the policy of RECIPE, or of --policy, whether a version may be promoted.

    No alias moves. KEY=VALUE overrides may tighten the policy, not loosen it.

    The same question (bytes, suite, policy, settings) is decided once: asked again, it returns the
    decision that was recorded. Each new question of a line is judged more strictly.

    Exit codes: 0 passed, 3 rejected, 4 inconclusive.

    Example: llmops gate --policy gate.yaml --candidate models:/bot/7
    """
    found = task(given, policy_file, code=options["allow_code"])
    from llmops.judging.held_out import held_out
    from llmops.store import connection

    connection.connect()
    if baseline is not None:
        found = replace(found, policy=against(found.policy, baseline))
    uri, path = candidate or found.candidate, suite or found.policy.suite
    with held_out(uri, path, found.experiment) as (files, prompts):
        if dry_run:
            return _forecast(found, files, prompts, output)
        connection.use_experiment(found.experiment)
        return _judge(found, files, prompts, output, outputs, **options)


def _forecast(task: Task, files: ModelFiles, prompts: Suite, output: str) -> int:
    from llmops.gate.planning.forecast import forecast
    from llmops.store import runs

    found = forecast(
        task.policy,
        prompts,
        seconds_per_prompt=runs.measured_pace(task.experiment),
        usd_per_hour=task.usd_per_hour,
    )
    emit(output, f"{files.uri}: nothing was generated\n{found.text}", {"forecast": asdict(found)})
    return EXIT_OK


def _judge(
    task: Task,
    files: ModelFiles,
    prompts: Suite,
    output: str,
    outputs: Outputs,
    *,
    no_cache: bool,
    allow_code: bool,
    line: str | None,
    fresh: bool,
    sign_with: Path | None,
) -> int:
    from llmops.gate.evidence.signature import signing_key
    from llmops.gate.lines import check_line
    from llmops.gate.planning.possible import refuse_too_few
    from llmops.judging import judge
    from llmops.report.ci import next_step

    key = signing_key(sign_with, os.environ)
    named = None if line is None else check_line(line, "--line")
    refuse_too_few(task.policy, prompts)
    comparison, decision = judge(
        task.policy,
        files,
        prompts,
        cache=not no_cache,
        code=allow_code,
        line=named,
        fresh=fresh,
        key=key,
    )
    if comparison is None:
        shown, text = _earlier(decision, files.uri)
    else:
        shown, text = _new(comparison, decision, files.uri, task.usd_per_hour)
    outputs.decided(shown)
    emit(output, f"{text}\nNext: {next_step(decision, files.uri)}", shown.record)
    return decision.exit_code


def _new(
    comparison: Comparison, decision: Decision, uri: str, price: float | None
) -> tuple[Shown, str]:
    """Return what CI gets of a decision that was just made, and what a terminal shows."""
    from llmops.report import comparison_table, html_report, to_json
    from llmops.report.ci import summary

    links, lines = pages(comparison)
    record = {**to_json(comparison, decision), "run": links["Run"]}
    markdown = summary(comparison, decision, links, usd_per_hour=price)
    report = partial(html_report, comparison, decision)
    text = f"{comparison_table(comparison, decision)}\n\n{lines}"
    return Shown(decision, uri, comparison, markdown, record, report), text


def _earlier(decision: Decision, uri: str) -> tuple[Shown, str]:
    """Return the same of a decision that was made before, from what its run keeps."""
    from llmops.gate.evidence import reuse

    link, where = page(reuse.experiment_of(decision), reuse.run_of(decision))
    record = {**reuse.result(decision), "run": link, "reused": True}
    again = "Decided before: nothing was asked or spent; --fresh asks again."
    shown = Shown(
        decision, uri, None, reuse.summary(decision), record, partial(reuse.report, decision)
    )
    return shown, f"{reuse.shown(decision)}\n\n{again}\n{where}"
