"""``llmops gate``: compare a version and decide by a policy, for people and for CI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import emit, output_option, read_policy, read_recipe, run_page
from llmops.errors import EXIT_OK, UsageError
from llmops.recipe.schema import Policy

if TYPE_CHECKING:
    from llmops.records import ModelFiles, Suite

CHALLENGER = "challenger"
"""Alias of the candidate of a policy file."""


@dataclass(frozen=True)
class Task:
    """What is judged: the policy, and what its file says beyond it.

    Attributes:
        policy: The policy, with overrides applied.
        experiment: MLflow experiment of the comparison.
        candidate: Version that is judged by default.
        usd_per_hour: Price of the machine; ``None`` if unknown.
    """

    policy: Policy
    experiment: str
    candidate: str
    usd_per_hour: float | None


@click.command("gate")
@click.argument("given", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Policy file, such as gate.yaml, instead of a recipe.",
)
@click.option(
    "--candidate",
    help="Version to judge; default: the recipe's model at its alias, or the policy's at"
    f" @{CHALLENGER}.",
)
@click.option(
    "--baseline",
    help="Version to compare with, or `base` for the candidate's own; default: compare.baseline.",
)
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
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
@output_option
def command(
    given: tuple[str, ...],
    policy_file: Path | None,
    candidate: str | None,
    baseline: str | None,
    suite: Path | None,
    dry_run: bool,
    output: str,
    **options: Any,
) -> int:
    """Decide by the policy of RECIPE, or of --policy, whether a version may be promoted.

    No alias moves. KEY=VALUE overrides may tighten the policy, not loosen it.

    Exit codes: 0 passed, 3 rejected, 4 inconclusive.

    Example: llmops gate --policy gate.yaml --candidate models:/bot/7
    """
    task = _task(given, policy_file, code=options["allow_code"])
    from llmops.store import connection

    connection.connect()
    if baseline is not None:
        task = replace(task, policy=_against(task.policy, baseline))
    with _held_out(task, candidate or task.candidate, suite) as (files, held_out):
        if dry_run:
            return _forecast(task, files, held_out, output)
        connection.use_experiment(task.experiment)
        return _judge(task, files, held_out, output, **options)


def _task(given: Sequence[str], policy_file: Path | None, *, code: bool) -> Task:
    """Read the recipe or the policy that a user names."""
    if policy_file is not None:
        if given and "=" not in given[0]:
            raise UsageError(
                f"received the recipe {given[0]} and --policy {policy_file}; give one of them",
                next_command=f"llmops gate --policy {policy_file}",
            )
        policy = read_policy(policy_file, given, code=code)
        price = policy.gate.budgets.usd_per_hour
        return Task(policy, policy.model, f"models:/{policy.model}@{CHALLENGER}", price)
    if not given:
        raise UsageError(
            "neither a recipe nor --policy received", next_command="llmops gate --policy gate.yaml"
        )
    recipe = read_recipe(given[0], given[1:], code=code)
    flavor = recipe.flavor
    return Task(
        policy=recipe.policy(),
        experiment=recipe.name,
        candidate=f"models:/{flavor.model}@{flavor.alias}",
        usd_per_hour=recipe.cost.usd_per_hour,
    )


def _against(policy: Policy, baseline: str) -> Policy:
    """Return the policy with another baseline; an alias must be there, unlike in a file."""
    is_alias = baseline != "base" and not baseline.startswith("models:/")
    named = f"models:/{policy.model}@{baseline}" if is_alias else baseline
    compare = policy.compare.model_copy(update={"baseline": named})
    return policy.model_copy(update={"compare": compare})


@contextmanager
def _held_out(task: Task, uri: str, suite: Path | None) -> Iterator[tuple[ModelFiles, Suite]]:
    """Resolve the candidate, and load the suite; without one, the test split of its training run."""
    from llmops.compare import load_suite
    from llmops.compare.leakage import heldout
    from llmops.files.staging import staging
    from llmops.models.resolve import resolve

    path = suite or task.policy.suite
    held_out = load_suite(path) if path else None  # a wrong path is found before any download
    with staging() as folder:
        files = resolve(uri)
        if held_out is None:
            split = heldout.download_test_split(files, folder)
            held_out = load_suite(split, name=f"{task.experiment}-test")
        yield files, held_out


def _forecast(task: Task, files: ModelFiles, held_out: Suite, output: str) -> int:
    from dataclasses import asdict

    from llmops.gate.forecast import forecast
    from llmops.store import runs

    found = forecast(
        task.policy,
        held_out,
        seconds_per_prompt=runs.measured_pace(task.experiment),
        usd_per_hour=task.usd_per_hour,
    )
    emit(output, f"{files.uri}: nothing was generated\n{found.text}", {"forecast": asdict(found)})
    return EXIT_OK


def _judge(
    task: Task,
    files: ModelFiles,
    held_out: Suite,
    output: str,
    *,
    no_cache: bool,
    allow_code: bool,
) -> int:
    from llmops import pipeline
    from llmops.gate.possible import refuse_too_few
    from llmops.report import comparison_table, to_json

    refuse_too_few(task.policy, held_out)
    comparison, decision = pipeline.judge(
        task.policy, files, held_out, cache=not no_cache, code=allow_code
    )
    link, page = run_page(comparison)
    text = f"{comparison_table(comparison, decision)}\n\n{page}"
    if decision.exit_code == EXIT_OK:
        text += f"\nNext: {_promotion(comparison.candidate.uri, task.policy.gate.on_pass)}"
    emit(output, text, {**to_json(comparison, decision), "run": link})
    return decision.exit_code


def _promotion(uri: str, alias: str) -> str:
    """Return the command that moves the policy's alias to the version."""
    return f"llmops promote {uri}" + ("" if alias == "champion" else f" --alias {alias}")
