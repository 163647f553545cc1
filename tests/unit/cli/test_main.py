"""The command line as a user meets it: output, exit codes, no tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command


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


def test_the_notices_of_libraries_that_nobody_can_act_on_are_hidden() -> None:
    code = (
        "import logging, warnings\n"
        "from llmops.cli import main\n"
        "main.cli.main = lambda **_: (\n"
        "    warnings.warn('soon gone', FutureWarning),\n"
        "    logging.getLogger('bitsandbytes.backends.cpu.ops').warning('pip install kernels'),\n"
        ") and 0\n"
        "main.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_an_unforeseen_error_names_the_command_that_shows_its_traceback(
    llmops: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(rows: object) -> str:
        raise ZeroDivisionError("by zero\nsecond line")

    monkeypatch.setattr("llmops.cli.recipes.columns", fails)
    done = llmops("recipes", "ls")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: ZeroDivisionError: by zero\n"
        "  Next: llmops --debug recipes ls  (shows the traceback)\n"
    )


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
    assert (
        llmops("promote", "models:/own@challenger").stdout
        == "@champion now points to models:/own/1\n"
    )
    command = ("compare", "base", "models:/own/1", "--suite", "out/test.jsonl")
    compared = llmops(*command, "--report", "report.html")
    assert compared.returncode == 0, compared.stderr
    assert "v1 (models:/own/1) vs the bare base (models:/base/1)" in compared.stdout
    assert "<h3>Examples</h3>" in Path("report.html").read_text(encoding="utf-8")
    nowhere = llmops(*command, "--report", "no/such/report.html")
    assert nowhere.returncode == 2
    assert "--report no/such/report.html: its folder does not exist" in nowhere.stderr
    Path("link.html").symlink_to("report.html")
    Path("link.jsonl").symlink_to("out/test.jsonl")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    for odd, why in (
        ("pipe", "not a regular file"),
        ("", "not a regular file"),
        ("x" * 220, "longer"),
        ("out/test.jsonl", "is a file that this command reads"),
        ("link.jsonl", "is a file that this command reads"),
        ("out/test.jsonl/x.html", "its folder does not exist"),
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
    seen = llmops("gate", recipe, "--suite", "out/train.jsonl", "compare.baseline=base")
    assert seen.returncode == 2
    assert "40 of 40 prompts are in the training data" in seen.stderr
