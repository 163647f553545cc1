"""What ``llmops gate`` is to judge: a recipe or a policy file, a version, held-out prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmops.cli.options import read_policy, read_recipe
from llmops.errors import UsageError
from llmops.recipe.schema import Policy

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
