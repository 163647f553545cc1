"""Policies: what a file may say, what is filled in, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from small_recipe import SMALL

from llmops.errors import ConfigError
from llmops.files import digest
from llmops.models.proof.schema import Policy as PolicyRecord
from llmops.recipe import load_policy, load_recipe
from llmops.recipe.policy import require_scorers, with_error
from llmops.recipe.schema import Compare, Gate, Recipe

POLICY = """\
schema_version: 1
model: bot
suite: held-out.jsonl
compare: {baseline: champion, max_tokens: 32}
gate:
  require:
    - {metric: token_f1, must: not_regress, margin: 0.05}
    - {metric: token_f1, slice: {topic: billing}, must: not_regress, margin: 0.1}
    - {metric: one_line, must: at_least, value: 0.9}
  budgets: {mean_tokens: 60}
"""


def written(folder: Path, text: str = POLICY) -> Path:
    path = folder / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, old: str, new: str) -> list[str]:
    assert POLICY.count(old) == 1
    path = written(folder, POLICY.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_policy(path)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def test_a_policy_without_a_recipe(tmp_path: Path) -> None:
    policy = load_policy(written(tmp_path))
    assert policy.model == "bot"
    assert policy.suite == tmp_path / "held-out.jsonl"
    assert policy.compare.scorers == ("token_f1", "one_line"), "those that the gate names"
    assert [r.metric for r in policy.gate.questions] == ["token_f1"]
    assert [r.value for r in policy.gate.floors] == [0.9]
    assert policy.gate.require[1].tag == ("topic", "billing")
    assert policy.gate.budgets.limits == {"mean_tokens": 60.0}
    assert (policy.gate.alpha, policy.settings().confidence) == (0.05, 0.95)
    again = written(tmp_path, policy.to_yaml())
    assert load_policy(again).digest() == policy.digest()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("value: 0.9", "value: 1.5", "9: gate.require.2.value: received 1.5; input should be less"),
        ("value: 0.9", "value: 0", "9: gate.require.2.value: received 0; input should be greater"),
        (", value: 0.9", "", "9: gate.require.2: at_least needs `value`, a floor between 0 and 1"),
        ("value: 0.9", "value: 0.9, margin: 0.1", "9: gate.require.2: `margin` belongs to improve"),
        ("margin: 0.05", "margin: 0", "7: gate.require.0: not_regress needs a margin above 0"),
        (
            "margin: 0.05",
            "margin: 0.05, value: 1.0e-1",
            "7: gate.require.0: `value` belongs to at_",
        ),
        ("{topic: billing}", "{}", "8: gate.require.1.slice: a slice is one tag and its value"),
        ("{topic: billing}", "{a: b, c: d}", "8: gate.require.1.slice: a slice is one tag and its"),
        ("{topic: billing}", "{new: yes}", "8: gate.require.1.slice: the value of a slice is text"),
        ("budgets:", "alpha: 0\n  budgets:", "10: gate.alpha: received 0; input should be greater"),
        ("budgets:", "alpha: 1\n  budgets:", "10: gate.alpha: received 1; input should be less"),
        ("budgets: {mean_t", "budgets: {meantok", "10: gate.budgets.meantokokens: unknown key; a"),
        (
            "mean_tokens: 60",
            "usd_per_1000_answers: 1",
            "10: gate.budgets: usd_per_1000_answers nee",
        ),
        (
            "suite:",
            "suit:",
            "3: suit: unknown key; allowed here: compare, gate, model, schema_vers",
        ),
        ("model: bot", "model: bot\nmodel: cat", "3: model: duplicate key"),
        (
            "one_line",
            "one_lime",
            "1: policy: gate.require names one_lime, which compare.scorers do",
        ),
    ],
)
def test_bad_input_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    found = refused(tmp_path, old, new)
    assert len(found) == 1, found
    assert found[0].startswith(problem), found


def test_a_close_name_is_offered(tmp_path: Path) -> None:
    assert refused(tmp_path, "one_line", "one_lime")[0].endswith("; did you mean one_line?")
    assert refused(tmp_path, "suite:", "suit:")[0].endswith("; did you mean suite?")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = POLICY.replace("value: 0.9", "value: 2").replace("mean_tokens: 60", "mean_tokens: 0")
    with pytest.raises(ConfigError) as caught:
        load_policy(written(tmp_path, text.replace("margin: 0.05", "margin: 7")))
    assert len(caught.value.problems) == 3


def test_without_requirements_nothing_is_decided(tmp_path: Path) -> None:
    text = POLICY[: POLICY.index("gate:")] + "gate: {require: []}\n"
    with pytest.raises(ConfigError, match=r"gate\.yaml:5: gate\.require: .* at least 1 item"):
        load_policy(written(tmp_path, text))


def test_recipe_and_policy_are_not_taken_for_each_other(tmp_path: Path, recipe: Path) -> None:
    with pytest.raises(ConfigError, match="is a recipe, not a policy") as caught:
        load_policy(recipe)
    assert caught.value.next_command == f"llmops gate {recipe}"
    policy = written(tmp_path)
    with pytest.raises(ConfigError, match="is a policy, not a recipe") as caught:
        load_recipe(policy)
    assert caught.value.next_command == f"llmops gate --policy {policy}"


def test_code_needs_the_permission_of_the_command(tmp_path: Path) -> None:
    text = POLICY.replace(
        "baseline: champion", 'scorers: [token_f1, one_line, "mlflow:mine:score"]'
    )
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match="a recipe executes no code") as caught:
        load_policy(path)
    assert "llmops gate … --allow-code" in str(caught.value)
    assert load_policy(path, code=True).compare.scorers[-1] == "mlflow:mine:score"


def test_a_recipes_gate_is_the_same_section(recipe: Path) -> None:
    recipe.write_text(
        SMALL.replace("serve:", "  budgets: {usd_per_1000_answers: 2}\nserve:"), encoding="utf-8"
    )
    loaded = load_recipe(recipe, ["compare.confidence=0.9", "cost.usd_per_hour=0.5"])
    assert loaded.gate.alpha == 0.1, "what the intervals of the recipe imply"
    assert loaded.gate.budgets.usd_per_hour == 0.5
    assert loaded.policy().gate == loaded.gate
    assert loaded.policy().settings().confidence == 0.9
    again = Recipe.model_validate(loaded.model_dump(mode="json"))
    assert again.digest() == loaded.digest()


def test_the_errors_own_key_wins_over_the_confidence() -> None:
    given = {"gate": {"alpha": 0.01}, "compare": {"confidence": 0.9}}
    assert with_error(given) == given
    assert with_error({"gate": {}, "compare": {"confidence": 0.9}})["gate"] == {"alpha": 0.1}
    assert with_error("text") == "text"


@pytest.mark.parametrize("first", [True, False])
def test_a_first_version_with_floors_is_asked_every_prompt(tmp_path: Path, first: bool) -> None:
    policy = load_policy(written(tmp_path))
    assert policy.gate.floors_alone(first=first) is first
    assert policy.settings(first=first).method == ("fixed" if first else "spend")
    only = load_policy(
        written(tmp_path), ["gate.require=[{metric: one_line, must: at_least, value: 0.5}]"]
    )
    assert only.settings().method == "fixed", "no difference may end it early"
    assert only.settings(alpha=0.01).confidence == 0.99


def test_a_metric_that_is_not_computed_is_refused() -> None:
    gate = Gate.model_validate({"require": [{"metric": "exact", "must": "improve"}]})
    with pytest.raises(ValueError, match=r"names exact, which compare\.scorers does not produce"):
        require_scorers(gate, Compare(scorers=("chrf",)), code=False)
    require_scorers(gate, Compare(scorers=("exact",)), code=False)


def test_a_recorded_policy_without_the_newer_keys_is_read() -> None:
    old = {
        "require": [{"metric": "token_f1", "must": "improve", "margin": 0.0}],
        "min_prompts": 50,
        "on_pass": "champion",
    }
    read = PolicyRecord.model_validate({**old, "digest": digest.of_record(old)})
    assert read.require[0].slice is None
    assert not read.budgets.limits
    with pytest.raises(ValidationError):
        PolicyRecord.model_validate({**old, "digest": "no digest"})
