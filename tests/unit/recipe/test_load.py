from __future__ import annotations

from pathlib import Path

import pytest
from small_recipe import SMALL, changed, problems

import llmops
from llmops.errors import ConfigError, NotFoundError
from llmops.recipe.load import load_recipe

RECIPES = Path(llmops.__file__).parents[1] / "recipes"
FOUND = sorted(RECIPES.rglob("*.yaml"))


def test_there_are_recipes() -> None:
    assert any(path.name == "recipe.yaml" for path in FOUND)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: str(path.relative_to(RECIPES)))
def test_every_recipe_in_the_repository_is_valid(path: Path) -> None:
    assert load_recipe(path).schema_version == 1


def test_a_small_recipe_gets_every_default(recipe: Path) -> None:
    loaded = load_recipe(recipe)
    assert loaded.train.lora.rank == 4
    assert loaded.train.learning_rate == 2e-4
    assert loaded.flavor.alias == "challenger"
    assert loaded.compare.baseline == "champion"
    assert loaded.gate.on_pass == "champion"
    assert loaded.gate.require[1].must == "improve"


def test_all_problems_come_at_once_each_with_its_line(recipe: Path) -> None:
    text = SMALL.replace("name: small\n", "")
    text = text.replace("rank: 4", "rnk: 4").replace("base: tiny", "base: tiny\n  epoch: 1")
    text = text.replace("metric: one_line", "metrik: one_line")
    text += "  engine: vllm\nextra: 1\n"
    recipe.write_text(text, encoding="utf-8")
    found = problems(recipe)
    assert [problem.partition(": ")[0] for problem in found] == [
        "1",
        "6",
        "7",
        "15",
        "15",
        "19",
        "20",
    ]
    assert found[0] == "1: name: required, but absent"
    assert found[1].startswith(
        "6: train.epoch: unknown key; allowed here: base, batch_size, epochs"
    )
    assert found[2].startswith("7: train.lora.rnk: unknown key; allowed here: alpha, dropout")
    assert found[3] == "15: gate.require.1.metric: required, but absent"
    assert "unknown key; allowed here: margin, metric, must" in found[4]
    assert found[5] == "19: serve.engine: received 'vllm'; input should be 'local'"
    assert "allowed here: compare, cost, data" in found[6]


def test_an_error_names_the_command_that_shows_what_is_allowed(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="Next: llmops recipes show"):
        load_recipe(changed(recipe, "rank: 4", "rank: 0"))


def test_a_problem_is_told_once_and_at_its_own_key(recipe: Path) -> None:
    # Pydantic adds "too few items" to a tuple whose only item is wrong, and the names of union
    # members to the place.
    assert problems(recipe, "compare.scorers=[bleu]") == [
        "11: compare.scorers.0: received 'bleu'; scorer 'bleu': unknown; allowed: exact, token_f1,"
        " rouge_l, chrf, one_line, json_fields, likelihood, regex:PATTERN, extract:PATTERN,"
        " json_schema:FILE, judge:MODEL"
    ]
    assert problems(recipe, "train.lora.target_modules=5") == [
        "7: train.lora.target_modules: received 5; input should be 'all-linear'",
        "7: train.lora.target_modules: received 5; input should be a valid list",
    ]
    assert len(problems(recipe, "gate.require=[]")) == 1


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.learning_rate=3e-4", 3e-4),  # YAML 1.1 reads 3e-4 as text
        ("train.learning_rate=3.0e-4", 3e-4),
        ("train.learning_rate=1E-3", 1e-3),
        ("train.epochs=2", 2.0),
        ("train.lora.rank=8", 8),
        ("train.lora.target_modules=[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("serve.prompt=a=b", "a=b"),
        ("serve.prompt=null", None),
        ("cost.usd_per_hour=1.5", 1.5),  # a section that the file does not have
    ],
)
def test_overrides(recipe: Path, override: str, value: object) -> None:
    loaded: object = load_recipe(recipe, [override])
    for part in override.partition("=")[0].split("."):
        loaded = getattr(loaded, part)
    assert loaded == value


def test_the_last_override_wins(recipe: Path) -> None:
    assert load_recipe(recipe, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("train.epochs", "expected KEY=VALUE"),
        ("=1", "expected KEY=VALUE"),
        ("train.epochs=[1", "not valid YAML"),
        ("train.base.name=x", "`base` has no keys below it"),
        ("train.epoch=2", "unknown key"),
        ("train.epochs=.inf", "finite"),  # a digest cannot be made of it
        ("train.learning_rate=.nan", "finite"),
        ("train.learning_rate=1", "less than 1"),
    ],
)
def test_wrong_overrides(recipe: Path, override: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint.replace("`", ".")):
        load_recipe(recipe, [override])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1\nb: 2\n", r"recipe.yaml:2: not valid YAML"),
        ("a:\n\tb: 1\n", r"recipe.yaml:2: not valid YAML"),
        ("a: !!python/name:os.system x\n", r"recipe.yaml:1: not valid YAML"),  # executes nothing
        ("- a\n", "a recipe is a mapping of stages, received list"),
        ("", "received nothing"),
        ("just text", "received str"),
    ],
)
def test_what_is_no_recipe(recipe: Path, text: str, complaint: str) -> None:
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=complaint):
        load_recipe(recipe)


def test_a_file_that_is_not_utf_8(recipe: Path) -> None:
    recipe.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"not UTF-8 \(byte 9\)"):
        load_recipe(recipe)


def test_duplicate_keys_are_refused(recipe: Path) -> None:
    # PyYAML silently keeps the last one: the first `train` would be lost.
    recipe.write_text(SMALL + "train:\n  base: other\n  base: third\n", encoding="utf-8")
    assert problems(recipe) == [
        "19: train: duplicate key",
        "21: base: duplicate key",
    ]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such recipe"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_path_is_relative_to_the_recipe_that_names_it_or_to_the_working_folder(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_recipe(Path("../recipe.yaml")).data.path == tmp_path / "rows.csv"
    overridden = load_recipe(recipe, ["data.path=x.csv", "data.test.path=../y.csv"]).data
    assert overridden.path == tmp_path / "elsewhere" / "x.csv", "as the shell completes it"
    assert overridden.test is not None
    assert overridden.test.path == tmp_path / "y.csv"
    assert load_recipe(recipe, ["data.path=/abs/x.csv"]).data.path == Path("/abs/x.csv")


@pytest.mark.parametrize(
    "line",
    ["name: 2020-13-45", "name: !!int abc", "name: " + "[" * 3000, "x: &a [*a]", "a: &b 1\nc: *b"],
)
def test_odd_yaml_is_a_recipe_error_not_a_crash(tmp_path: Path, line: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"schema_version: 1\n{line}\n")
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        load_recipe(path)


@pytest.mark.parametrize("path", ["a\\0b.csv", "~nosuchuser/rows.csv"])
def test_a_data_path_that_cannot_be_one_is_refused(tmp_path: Path, path: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(f'data: {{path: "{path}"}}')
    with pytest.raises(ConfigError, match="cannot be a path"):
        load_recipe(file)


def test_a_judge_with_a_password_is_refused_and_the_password_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text('compare: {scorers: ["judge:openai:http://me:secret@h/v1#m"]}')
    with pytest.raises(ConfigError, match="must not contain credentials") as refused:
        load_recipe(file)
    assert "secret" not in str(refused.value)
