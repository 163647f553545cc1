"""`llmops compare` before it does any work; the work itself is in `test_main.py`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llmops.cli.compare import command
from llmops.cli.main import cli
from llmops.errors import UsageError
from llmops.recipe.schema import Compare
from llmops.recipe.scorer_names import allowed

SUITE = "suite.jsonl"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / SUITE).write_text("{}")
    return tmp_path


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(
        cli, ["compare", "base", "models:/own/1", "--suite", SUITE, *arguments]
    )
    if isinstance(done.exception, UsageError):  # which the console script reports
        return str(done.exception)
    assert done.exit_code == 2, done.output
    return " ".join(done.output.split())


def test_help_lists_every_scorer_and_the_defaults() -> None:
    shown = " ".join(CliRunner().invoke(cli, ["compare", "--help"]).output.split())
    assert f"instead of the defaults ({', '.join(Compare().scorers)})" in shown
    assert f"One of: {', '.join(allowed())}." in shown


def test_options_have_the_names_and_the_defaults_of_the_recipe() -> None:
    # What is no parameter of its own is passed on to the recipe's class by its name.
    options = {option.name: option for option in command.params}
    context = click.Context(command)
    shared = set(options) & set(Compare.model_fields) - {"baseline", "scorers"}
    assert {"method", "engine", "max_tokens", "temperature", "repeats", "confidence"} == shared
    for name in shared:
        assert options[name].get_default(context) == getattr(Compare(), name), name


def test_greedy_answers_are_not_repeated(folder: Path) -> None:
    assert "--repeats needs a --temperature above 0" in refused("--repeats", "3")


def test_a_report_that_could_not_be_written_is_refused_first(folder: Path) -> None:
    assert "its folder does not exist" in refused("--report", "no/such/report.html")
    assert "is a file that this command reads" in refused("--report", SUITE)
    assert "its name is longer than 200 bytes" in refused("--report", "x" * 201)
    (folder / "round").symlink_to("round")
    assert "is a symbolic link that leads to itself" in refused("--report", "round")
    assert "--report takes one candidate, received 2" in refused(
        "models:/own/2", "--report", "r.html"
    )
