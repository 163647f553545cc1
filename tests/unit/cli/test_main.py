"""The command line as a user meets it: output, exit codes, no tracebacks."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from llmops.cli.main import main


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def llmops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Calls the console script's function in this process: a new one takes seconds to import."""
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["llmops", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(str(ended.value.code)), *capsys.readouterr())

    yield call
    signal.signal(signal.SIGTERM, handler)


def test_help_names_every_verb_and_every_verb_has_help(llmops: Command) -> None:
    from llmops.cli.main import VERBS

    shown = llmops("--help")
    assert shown.returncode == 0
    for verb in VERBS:
        assert f"  {verb} " in shown.stdout
        assert llmops(verb, "--help").returncode == 0


def test_an_unknown_verb_or_option_is_a_usage_error(llmops: Command) -> None:
    for arguments in (["trian"], ["run"], ["run", "quickstart", "--no-such"]):
        done = llmops(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_all_problems_of_a_recipe_at_once_with_lines(llmops: Command, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "schema_version: 1\nname: x\ndata: {source: stdlib_docstrings}\ntrain:\n  bsae: tiny\n"
        "flavor: {model: a/b}\ngate: {require: []}\n"
    )
    done = llmops("run", str(recipe))
    assert done.returncode == 2
    assert f"{recipe}:4: train.base: required, but absent" in done.stderr
    assert f"{recipe}:5: train.bsae: unknown key; allowed here: base" in done.stderr
    assert f"{recipe}:6: flavor.model" in done.stderr
    assert f"{recipe}:7: gate.require" in done.stderr
    assert "Next: " in done.stderr


def test_an_unreachable_server_is_said_at_once(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    import mlflow

    mlflow.set_tracking_uri("http://127.0.0.1:9")
    done = llmops("run", str(own_recipe))
    assert done.returncode == 1
    assert "http://127.0.0.1:9: not reachable" in done.stderr
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr


def test_unusable_data_ends_before_anything_is_registered(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    (own_recipe.parent / "own.csv").write_text("q,a\nonly,one\n")
    done = llmops("run", str(own_recipe))
    assert done.returncode == 2
    assert "own.csv: 1 distinct example(s), at least 10" in done.stderr
    from llmops.store import connection

    assert not connection.client().search_registered_models()


def test_a_missing_base_names_the_command_that_adds_one(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    done = llmops("run", str(own_recipe), "train.base=nowhere")
    assert done.returncode == 2
    assert "base model 'nowhere'" in done.stderr
    assert "llmops base add" in done.stderr


@pytest.mark.parametrize(
    "uri", ["quickstart", "models:/", "models:/none@champion", "models:/none/7"]
)
def test_models_that_do_not_exist(llmops: Command, store: str, uri: str, tmp_path: Path) -> None:
    suite = tmp_path / "s.jsonl"
    suite.write_text('{"id": "1", "prompt": "p", "completion": "c"}\n')
    done = llmops("compare", uri, uri, "--suite", str(suite))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert llmops("promote", uri).returncode == 2


def test_validate_prints_defaults_and_recipes_can_be_copied(
    llmops: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = llmops("validate", "quickstart", "train.epochs=2", "--output", "json")
    record = json.loads(shown.stdout)
    assert record["recipe"]["train"]["epochs"] == 2
    assert "quickstart" in llmops("recipes", "ls").stdout
    assert llmops("recipes", "cp", "quickstart").returncode == 0
    assert llmops("validate", "quickstart").returncode == 0
    again = llmops("recipes", "cp", "quickstart")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_base_add_ls_and_doctor(llmops: Command, store: str, tiny_model: Path) -> None:
    doctor = llmops("doctor")
    assert doctor.returncode == 1
    assert "Next: llmops base add" in doctor.stdout
    assert "No base model" in llmops("base", "ls").stdout
    assert llmops("base", "add", str(tiny_model), "--name", "tiny").returncode == 0
    assert json.loads(llmops("base", "ls", "--output", "json").stdout)["bases"][0]["name"] == "tiny"
    assert llmops("base", "add", str(tiny_model.parent)).returncode == 2
    assert "tiny" in llmops("doctor").stdout


def test_every_stage_is_a_verb_of_its_own(
    llmops: Command, store: str, own_recipe: Path, tmp_path: Path
) -> None:
    recipe = str(own_recipe)
    written = json.loads(llmops("data", recipe, "--out", "out", "--output", "json").stdout)
    assert [split["name"] for split in written["splits"]] == ["train", "validation", "test"]
    trained = json.loads(llmops("train", recipe, "--output", "json").stdout)
    assert trained["version"] == "models:/own/1"
    judged = llmops("gate", recipe, "--output", "json")
    assert judged.returncode == 0, judged.stderr
    assert llmops("promote", "models:/own@challenger").stdout == "models:/own/1 is @champion now\n"
    command = ("compare", "base", "models:/own/1", "--suite", "out/test.jsonl")
    compared = llmops(*command, "--report", "report.html")
    assert compared.returncode == 0, compared.stderr
    assert "v1 (models:/own/1) vs the bare base (models:/base/1)" in compared.stdout
    assert "<h2>Examples</h2>" in Path("report.html").read_text(encoding="utf-8")
    nowhere = llmops(*command, "--report", "no/such/report.html")
    assert nowhere.returncode == 2
    assert "--report no/such/report.html: its folder is not there" in nowhere.stderr
    Path("link.html").symlink_to("report.html")
    Path("link.jsonl").symlink_to("out/test.jsonl")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    for odd, why in (
        ("pipe", "no regular file"),
        ("", "no regular file"),
        ("x" * 220, "longer"),
        ("out/test.jsonl", "is the suite itself"),
        ("link.jsonl", "is the suite itself"),
        ("out/test.jsonl/x.html", "its folder is not there"),
        ("loop", "leads to itself"),
    ):
        refused = llmops(*command, "--report", odd)
        assert refused.returncode == 2
        assert why in refused.stderr
    assert Path("pipe").is_fifo()
    Path("report.html").write_text("")
    assert llmops(*command, "--report", "link.html").returncode == 0
    assert Path("link.html").is_symlink()
    assert "Examples" in Path("report.html").read_text(encoding="utf-8")
    several = llmops("compare", "base", *["models:/own/1"] * 2, *command[3:], "--report", "r.html")
    assert several.returncode == 2
    seen = llmops("gate", recipe, "--suite", "out/train.jsonl")
    assert seen.returncode == 2
    assert "40 of 40 prompts are in the training data" in seen.stderr
