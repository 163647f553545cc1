"""What a gate is to judge: a recipe with overrides, or a policy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.cli.gating.task import against, task
from llmops.errors import UsageError

POLICY = """\
schema_version: 1
model: bot
gate:
  require: [{metric: likelihood, must: improve}]
  budgets: {usd_per_hour: 2.5}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text(POLICY)
    return path


def test_a_recipe_brings_its_model_and_price() -> None:
    found = task(("quickstart",), None, code=False)
    assert (found.experiment, found.candidate) == ("quickstart", "models:/quickstart@challenger")
    assert found.usd_per_hour == 0.10
    assert found.policy.compare.max_tokens == 48


def test_a_policy_names_its_model(policy: Path) -> None:
    found = task(("gate.min_prompts=80",), policy, code=False)
    assert (found.experiment, found.candidate) == ("bot", "models:/bot@challenger")
    assert (found.usd_per_hour, found.policy.gate.min_prompts) == (2.5, 80)


@pytest.mark.parametrize(
    ("given", "named", "said"),
    [((), False, "neither a recipe nor --policy"), (("quickstart",), True, "give one of them")],
)
def test_one_of_them_is_needed(
    policy: Path, given: tuple[str, ...], named: bool, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        task(given, policy if named else None, code=False)


@pytest.mark.parametrize(
    ("named", "uri"),
    [("base", "base"), ("models:/bot/3", "models:/bot/3"), ("old", "models:/bot@old")],
)
def test_a_named_baseline_is_a_uri_or_the_bare_base(policy: Path, named: str, uri: str) -> None:
    found = task((), policy, code=False)
    assert against(found.policy, named).compare.baseline == uri
