"""Overrides on the command line may tighten a policy, never loosen it: the file is what was reviewed."""

from __future__ import annotations

from collections.abc import Iterator

from llmops.errors import UsageError
from llmops.recipe import scorer_names
from llmops.recipe.policy import AT_LEAST
from llmops.recipe.schema import Gate, Policy, Requirement

Change = tuple[str, object, object]
"""A key, its value in the file, and the received one."""
NONE = "none"
STRICT = {"on_inconclusive": "fail", "first_version": "floors", "judge_controls": True}
"""Keys with two values, and the stricter one."""


def refuse_looser(file_policy: Policy, effective: Policy) -> None:
    """Refuse a policy that demands less than its file.

    Args:
        file_policy: The policy as its file has it.
        effective: The policy with the overrides of the command line.

    Raises:
        UsageError: A key is looser; each is named with its value in the file and the received one.
    """
    changes = [*_gate(file_policy.gate, effective.gate), *_scorers(file_policy, effective)]
    if changes:
        raise UsageError(
            "; ".join(f"{key}: the file has {old}, received {new}" for key, old, new in changes)
            + ": the command line cannot loosen a policy",
            next_command="change the file instead, so that a review sees it",
        )


def _gate(old: Gate, new: Gate) -> Iterator[Change]:
    for requirement in old.require:
        if not any(_is_as_strict(other, requirement) for other in new.require):
            yield "gate.require", _text(requirement), _closest(requirement, new)
    for name, limit in old.budgets.limits.items():
        received = new.budgets.limits.get(name)
        if received is None or received > limit:
            yield f"gate.budgets.{name}", limit, NONE if received is None else received
    price, received = old.budgets.usd_per_hour, new.budgets.usd_per_hour
    if old.budgets.usd_per_1000_answers and price and (received is None or received < price):
        yield "gate.budgets.usd_per_hour", price, NONE if received is None else received
    if new.alpha > old.alpha:
        yield "gate.alpha", old.alpha, new.alpha
    if new.min_prompts < old.min_prompts:
        yield "gate.min_prompts", old.min_prompts, new.min_prompts
    for key, strict in STRICT.items():
        before, after = getattr(old, key), getattr(new, key)
        if before == strict != after:
            yield f"gate.{key}", before, after


def _is_as_strict(new: Requirement, old: Requirement) -> bool:
    """Return whether a requirement demands at least what another does."""
    if (new.metric, new.slice) != (old.metric, old.slice):
        return False
    if old.must == AT_LEAST:
        return new.must == AT_LEAST and (new.value or 0.0) >= (old.value or 0.0)
    if old.must == "improve":
        return new.must == "improve" and new.margin >= old.margin
    return new.must == "improve" or (new.must == "not_regress" and new.margin <= old.margin)


def _closest(requirement: Requirement, gate: Gate) -> str:
    same = [each for each in gate.require if (each.metric, each.slice) == _place(requirement)]
    return ", ".join(map(_text, same)) or NONE


def _place(requirement: Requirement) -> tuple[str, object]:
    return requirement.metric, requirement.slice


def _text(requirement: Requirement) -> str:
    given = requirement.model_dump(exclude_none=True)
    return "{" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}"


def _scorers(old: Policy, new: Policy) -> Iterator[Change]:
    """Yield the scorers that a requirement reads and that now compute something else."""
    before, after = _specs(old), _specs(new)
    for label in dict.fromkeys(requirement.metric for requirement in old.gate.require):
        if label in before and before[label] != after.get(label):
            yield "compare.scorers", before[label], after.get(label, NONE)


def _specs(policy: Policy) -> dict[str, str]:
    return {name.label: name.spec for name in scorer_names.parse_all(policy.compare.scorers)}
