"""What ``llmops gate`` is to judge: a recipe or a policy file, a version, held-out prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.cli.options import read_policy, read_recipe
from llmops.errors import UsageError
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


def task(given: Sequence[str], policy_file: Path | None, *, code: bool) -> Task:
    """Read the recipe or the policy that a user names.

    Args:
        given: A recipe and overrides, or with a policy file only overrides.
        policy_file: The policy file; ``None`` for a recipe.
        code: Whether scorers may name modules.

    Raises:
        UsageError: Neither or both are given, or an override loosens the policy.
        ConfigError: The file is wrong.
        NotFoundError: There is no such file.
    """
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


def against(policy: Policy, baseline: str) -> Policy:
    """Return the policy with another baseline; an alias must be there, unlike in a file.

    Args:
        policy: The policy.
        baseline: An alias, ``base`` or a ``models:/`` URI.
    """
    is_alias = baseline != "base" and not baseline.startswith("models:/")
    named = f"models:/{policy.model}@{baseline}" if is_alias else baseline
    compare = policy.compare.model_copy(update={"baseline": named})
    return policy.model_copy(update={"compare": compare})


@contextmanager
def held_out(task: Task, uri: str, suite: Path | None) -> Iterator[tuple[ModelFiles, Suite]]:
    """Resolve the candidate, and load the suite; without one, the test split of its training run.

    Args:
        task: What is judged.
        uri: The candidate.
        suite: File that replaces the policy's suite.

    Yields:
        The candidate's files and the prompts.

    Raises:
        LlmopsError: The candidate or the suite does not exist or cannot be used.
    """
    from llmops.compare import load_suite
    from llmops.compare.leakage import heldout
    from llmops.files.staging import staging
    from llmops.models.resolve import resolve

    path = suite or task.policy.suite
    prompts = load_suite(path) if path else None  # a wrong path is found before any download
    with staging() as folder:
        files = resolve(uri)
        if prompts is None:
            split = heldout.download_test_split(files, folder)
            prompts = load_suite(split, name=f"{task.experiment}-test")
        yield files, prompts
