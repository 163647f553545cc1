"""``llmops validate``: report all problems of a recipe or policy, or print it with its defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from llmops.cli.options import emit, output_option, read_policy, read_recipe, recipe_argument
from llmops.recipe import reading
from llmops.recipe.catalog import find
from llmops.recipe.schema import Policy


@click.command("validate")
@recipe_argument
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    help="Held-out prompts of a policy; default: the file that the policy names.",
)
@click.option(
    "--allow-code",
    is_flag=True,
    help="Allow `mlflow:` and `evaluate:` scorers. Nothing is imported here.",
)
@output_option
def command(
    recipe: str, overrides: tuple[str, ...], suite: Path | None, allow_code: bool, output: str
) -> None:
    """Check RECIPE, or a policy file, without running it, and print it with all defaults.

    A policy's suite must be able to pass: if no candidate could, that is an error, with the number
    of prompts that would do.

    Example: llmops validate gate.yaml
    """
    path = find(recipe)
    if reading.kind_of(reading.read(path)[0]) == reading.POLICY:
        policy = read_policy(path, overrides, code=allow_code)
        _emit_policy(policy, suite or policy.suite, output)
        return
    resolved = read_recipe(recipe, overrides, code=allow_code)
    emit(
        output,
        f"{resolved.to_yaml()}# valid; digest {resolved.digest()}",
        {"digest": resolved.digest(), "recipe": resolved.model_dump(mode="json")},
    )


def _emit_policy(policy: Policy, suite: Path | None, output: str) -> None:
    lines, found = _possible(policy, suite)
    emit(
        output,
        "\n".join([f"{policy.to_yaml()}# valid; digest {policy.digest()}", *lines]),
        {
            "digest": policy.digest(),
            "policy": policy.model_dump(mode="json"),
            "requirements": found,
        },
    )


def _possible(
    policy: Policy, suite: Path | None
) -> tuple[Sequence[str], list[dict[str, object]] | None]:
    """Return what the suite can show, as comments and as records; refuse one that cannot pass."""
    if suite is None:
        return ["# no suite: add --suite FILE to check whether it can pass"], None
    from llmops.compare import load_suite
    from llmops.gate.planning.possible import prospects, refuse_impossible
    from llmops.gate.requirements.slices import refuse_unknown

    examples = load_suite(suite).examples
    refuse_unknown(policy.gate, examples)
    found = prospects(policy, examples)
    refuse_impossible(found, str(suite))
    return [f"# {each.sentence}" for each in found], [asdict(each) for each in found]
