"""The freeze: what a gate is to decide stands in MLflow before the first answer is known."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import llmops
from llmops.errors import DataError
from llmops.files import digest, staging
from llmops.gate import budget
from llmops.recipe.schema import DECIDING, Compare, Gate
from llmops.records import Budget, Frozen, Side, Suite
from llmops.records.promotion import Kind
from llmops.store import artifacts, ledger, lines, runs, tags

PACKAGES = ("mlflow", "torch", "transformers", "peft")


@dataclass(frozen=True)
class Case:
    """What a gate is to decide.

    Attributes:
        model: Registered model of the candidate.
        line: Name of the candidate line.
        baseline: The side compared with.
        candidate: The side that should be better.
        suite: Held-out prompts.
        policy: The requirements.
        config: How the sides are compared.
        scorers: Name, specification and digest of each scorer.
        first: Whether there is no champion yet, so that the base stands in for it.
    """

    model: str
    line: str
    baseline: Side
    candidate: Side
    suite: Suite
    policy: Gate
    config: Compare
    scorers: tuple[Mapping[str, str], ...]
    first: bool = False

    @cached_property
    def question(self) -> str:
        """Digest of the question: the same bytes, suite, policy, scorers and settings ask the same."""
        return digest.of_record(
            {
                "model": self.model,
                "candidate": self.candidate.digest,
                "baseline": self.baseline.digest,
                "suite": self.suite.digest,
                "policy": self.policy.model_dump(mode="json"),
                "scorers": [dict(scorer) for scorer in self.scorers],
                "settings": self.settings,
                "first": self.first,
            }
        )

    @property
    def settings(self) -> dict[str, object]:
        """The settings that decide an answer or a verdict."""
        return {name: getattr(self.config, name) for name in DECIDING}


def freeze(case: Case, run_id: str) -> Frozen:
    """Record what is to be decided in a run that was just opened, and take the push's number.

    Args:
        case: What is to be decided.
        run_id: The open run.

    Returns:
        What was recorded, with the level of this push.

    Raises:
        DataError: The file of the suite has changed since it was loaded, or is gone.
        StoreError: The store refuses or does not answer.
    """
    _keep_suite(case.suite, run_id)
    lines.write_tag(run_id, tags.QUESTION, case.question)
    lines.write_tag(run_id, tags.LINE, lines.key(case.model, case.line))
    spent = budget.budget_of(case.policy.alpha, case.line, _take(case, run_id))
    content = _content(case, spent)
    about = _about(case.candidate, run_id)
    frozen = Frozen(content, digest.of_record(content), spent, about)
    if recipe := about["data"]["recipe_digest"]:
        lines.write_tag(run_id, tags.RECIPE_DIGEST, recipe)
    artifacts.write_text(run_id, json.dumps(content, sort_keys=True), tags.FROZEN_FILE)
    lines.write_tag(run_id, tags.FROZEN, frozen.digest)
    return frozen


def policy_record(policy: Gate, scorers: Sequence[Mapping[str, str]]) -> dict[str, object]:
    """Return a policy as evidence holds it: with its digest, and that of policy and scorers."""
    content = policy.model_dump(mode="json")
    bound = digest.of_record({"gate": content, "scorers": [dict(s) for s in scorers]})
    return {**content, "digest": digest.of_record(content), "bound": bound}


def side_record(side: Side) -> dict[str, str | None]:
    """Return a side as evidence holds it: its URI, and the digests of its bytes."""
    return {
        "uri": side.uri,
        "adapter_digest": side.adapter_digest,
        "base_digest": side.base.digest if side.base else None,
        "model_id": side.model_id,
    }


def tool_versions() -> dict[str, str | None]:
    """Return the versions of llmops and of the packages that answers depend on."""
    found: dict[str, str | None] = {"llmops": llmops.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _content(case: Case, spent: Budget) -> Mapping[str, object]:
    scorers = [dict(scorer) for scorer in case.scorers]
    return {
        "question": case.question,
        "line": spent.line,
        "push": spent.push,
        "alpha": spent.alpha_k,
        "policy": policy_record(case.policy, scorers),
        "scorers": scorers,
        "settings": case.settings,
        "suite": {"name": case.suite.name, "digest": case.suite.digest},
        "candidate": side_record(case.candidate),
        "baseline": side_record(case.baseline),
    }


def _about(candidate: Side, run_id: str) -> Mapping[str, Any]:
    """Return data, code and tools of a candidate; ``None`` for what was never recorded."""
    model = runs.find_logged_model(candidate.model_id) if candidate.model_id else None
    run, noted = runs.find_run(run_id), dict(model.tags) if model else {}
    return {
        "data": {
            "digest": noted.get(tags.DATA_DIGEST),
            "recipe_digest": noted.get(tags.RECIPE_DIGEST),
        },
        "code": {"commit": run.data.tags.get(tags.GIT_COMMIT) if run else None},
        "tools": tool_versions(),
    }


def _take(case: Case, run_id: str) -> int:
    """Write the number of the push to its run, and return it.

    Two machines may read the same last number. So each reads again after it wrote, and whoever sees
    the number at another question takes a later one: at worst, a number is used by nobody.
    """
    with staging.lock(f"line-{digest.of_bytes(lines.key(case.model, case.line).encode())[:16]}"):
        number = budget.number_for(case.question, _others(case, run_id))
        while True:
            lines.write_tag(run_id, tags.PUSH, str(number))
            others = _others(case, run_id)
            taken = [push for push in others if push.number == number]
            if all(push.question == case.question for push in taken):
                return number
            number = max(push.number for push in others) + 1
            time.sleep(random.uniform(0, 0.2))


def _others(case: Case, run_id: str) -> list[lines.Push]:
    """Return the pushes on today's budget of the line, but that of the run itself."""
    moves = ledger.entries(case.model)
    promoted = {entry.evidence for entry in moves if entry.kind is Kind.PROMOTE and entry.evidence}
    found = budget.since_promotion(lines.pushes(case.model, case.line), promoted)
    return [push for push in found if push.run_id != run_id]


def _keep_suite(suite: Suite, run_id: str) -> None:
    """Keep the bytes of the suite in the run, so that its digest can be checked again."""
    with staging.staging() as folder:
        if suite.path is None:
            copy = folder / "suite.examples.json"
            copy.write_text(json.dumps([asdict(example) for example in suite.examples]))
        else:
            copy = folder / f"suite{suite.path.suffix}"
            _copy(suite, suite.path, copy)
        artifacts.upload(run_id, copy, tags.FROZEN_FOLDER)


def _copy(suite: Suite, path: Path, copy: Path) -> None:
    try:
        shutil.copyfile(path, copy)
        same = digest.of_file(copy) == suite.digest
    except OSError:
        same = False
    if not same:
        raise DataError(
            f"suite {path}: was changed or removed after it had been loaded",
            next_command="rerun the same command",
        )
