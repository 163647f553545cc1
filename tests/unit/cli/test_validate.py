"""`llmops validate` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from command_line import Command

from llmops.recipe.load import load_recipe


def test_a_recipe_is_printed_with_its_defaults(llmops: Command, own_recipe: Path) -> None:
    shown = llmops("validate", str(own_recipe), "train.epochs=2")
    assert shown.returncode == 0
    resolved = load_recipe(own_recipe, ["train.epochs=2"])
    assert yaml.safe_load(shown.stdout) == resolved.model_dump(mode="json")
    assert shown.stdout.endswith(f"# valid; digest {resolved.digest()}\n")
    record = json.loads(llmops("validate", str(own_recipe), "--output", "json").stdout)
    assert record["recipe"]["train"]["lora"]["alpha"] == 32
    assert record["digest"] == load_recipe(own_recipe).digest()


def test_a_wrong_recipe_is_a_usage_error(llmops: Command, own_recipe: Path) -> None:
    done = llmops("validate", str(own_recipe), "train.epoch=2")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{own_recipe}:4: train.epoch: unknown key; allowed here: base" in done.stderr


POLICY = """\
schema_version: 1
model: bot
suite: held-out.jsonl
gate:
  require:
    - {metric: exact, must: not_regress, margin: 0.05}
    - {metric: exact, must: at_least, value: 0.9, slice: {topic: billing}}
"""


def policy_file(folder: Path, prompts: int) -> Path:
    rows = [
        {"prompt": f"Q{i}?", "expected": "A", "slice.topic": "billing" if i % 2 else "other"}
        for i in range(prompts)
    ]
    suite = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "held-out.jsonl").write_text(suite, encoding="utf-8")
    path = folder / "gate.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return path


def test_a_policy_says_what_its_suite_can_show(llmops: Command, tmp_path: Path) -> None:
    shown = llmops("validate", str(policy_file(tmp_path, 120)))
    assert shown.returncode == 0, shown.stderr
    assert "# gate.min_prompts 50: 120 prompts in 120 clusters can show it" in shown.stdout
    assert "exact on topic=billing must be at least 0.9: 60 prompts" in shown.stdout
    assert yaml.safe_load(shown.stdout)["model"] == "bot"


def test_a_suite_that_can_never_pass_is_refused_with_the_number_that_would_do(
    llmops: Command, tmp_path: Path
) -> None:
    done = llmops("validate", str(policy_file(tmp_path, 40)))
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        "gate.min_prompts 50: 40 prompts in 40 clusters can never show it; 50 prompts"
        in done.stderr
    )
    assert "exact must not lose more than 0.05: 40 prompts in 40 clusters can never" in done.stderr
    assert "exact on topic=billing must be at least 0.9: 20 prompts in 20 clusters" in done.stderr
    assert "36 prompts would do" in done.stderr


def test_a_policy_without_a_suite_asks_for_one(llmops: Command, tmp_path: Path) -> None:
    path = policy_file(tmp_path, 120)
    text = POLICY.replace("suite: held-out.jsonl\n", "")
    path.write_text(text, encoding="utf-8")
    assert "# no suite: add --suite FILE" in llmops("validate", str(path)).stdout
    given = llmops("validate", str(path), "--suite", str(tmp_path / "held-out.jsonl"))
    assert "can show it" in given.stdout
    path.write_text(POLICY.replace("held-out", "nowhere"), encoding="utf-8")
    gone = llmops("validate", str(path))
    assert gone.returncode == 2
    assert "nowhere.jsonl" in gone.stderr
