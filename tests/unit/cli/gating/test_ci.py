"""What a gate leaves for CI, in every way that it can end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from comment_server import Comments, github, on_github
from report_records import comparison, decision

from llmops.cli.gating.ci import Outputs, Shown, ci_options
from llmops.cli.gating.gate import command as llmops_gate
from llmops.errors import LlmopsError, StoreError, UsageError
from llmops.records import Check, Verdict

NAMES = {"junit": "gate.xml", "summary": "gate.md", "json": "gate.json", "report": "gate.html"}
LOST = Check("token_f1", "not_regress", 0.05, Verdict.REGRESSED, passed=False)


def shown(summary: str = "## REJECTED") -> Shown:
    made = decision((LOST,), Verdict.REGRESSED, sentence="REGRESSED: v3 is worse")
    return Shown(made, "models:/bot/3", comparison(), summary, {"run": "r"}, lambda: "<html>all")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {name: tmp_path / file for name, file in NAMES.items()}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page of a step in a job of GitHub."""
    path = tmp_path / "step.md"
    path.write_text("earlier\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_TOKEN", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


def kinds(path: Path) -> list[str]:
    """Every element of the cases of a JUnit file."""
    root = ElementTree.parse(path).getroot()
    return [each.tag for case in root.iter("testcase") for each in case]


def command(work: Callable[[], object]) -> click.Command:
    @click.command()
    @click.argument("given", nargs=-1)
    @click.option("--policy", "policy_file", type=click.Path(path_type=Path))
    @click.option("--suite", type=click.Path(path_type=Path))
    @ci_options
    def gate(
        given: tuple[str, ...], policy_file: Path | None, suite: Path | None, outputs: Outputs
    ) -> object:
        work()
        outputs.decided(shown())
        return 3

    return gate


def options(files: dict[str, Path]) -> list[str]:
    return [part for name, path in files.items() for part in (f"--{name}", str(path))]


def test_a_decision_is_in_every_place(
    files: dict[str, Path], page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = Outputs(files, False, "gate.yaml")
    outputs.begin([])
    outputs.decided(shown())
    assert kinds(files["junit"]) == ["failure"]
    assert files["summary"].read_text() == "## REJECTED"
    assert json.loads(files["json"].read_text()) == {"schema_version": 1, "run": "r"}
    assert files["report"].read_text() == "<html>all"
    assert page.read_text() == "earlier\n## REJECTED\n"
    out, err = capsys.readouterr()
    assert out == "", "stdout carries the result only"
    lines = err.splitlines()
    assert lines[0] == "gate: REJECTED: REGRESSED: v3 is worse"
    assert [line.split("::")[1] for line in lines[1:]] == [
        "error title=Gate REJECTED",
        "error title=Requirement",
    ]


def test_outside_github_there_are_no_annotations(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Outputs({}, False, "gate.yaml").decided(shown())
    assert capsys.readouterr().err == "gate: REJECTED: REGRESSED: v3 is worse\n"


def test_before_a_decision_every_file_says_that_there_is_none(files: dict[str, Path]) -> None:
    for path in files.values():
        path.write_text("PASSED, of an earlier run")
    Outputs(files, False, "gate.yaml").begin([])  # and then kill -9
    assert kinds(files["junit"]) == ["error"]
    assert json.loads(files["json"].read_text())["decision"] is None
    for path in files.values():
        assert "PASSED" not in path.read_text()
        assert "it did not finish" in path.read_text()


ENDS: dict[str, tuple[BaseException, str, int]] = {
    "store": (StoreError("no answer", next_command="mlflow server"), "no answer", 1),
    "usage": (UsageError("models:/bot/9: no such version"), "models:/bot/9", 2),
    "click": (click.UsageError("--suite: missing"), "--suite: missing", 2),
    "interrupt": (KeyboardInterrupt(), "interrupted", 130),
    "unforeseen": (RuntimeError("boom"), "RuntimeError: boom", 1),
    "memory": (MemoryError(), "MemoryError", 1),
}


@pytest.mark.parametrize(("error", "message", "code"), ENDS.values(), ids=ENDS.keys())
def test_a_failure_never_looks_like_a_verdict(
    files: dict[str, Path],
    page: Path,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    message: str,
    code: int,
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises((type(error), click.Abort)):  # click's name for the interrupt
        command(fail).main(["gate.yaml", *options(files)], standalone_mode=False)
    assert kinds(files["junit"]) == ["error"]
    record = json.loads(files["json"].read_text())
    assert (record["decision"], record["exit_code"]) == (None, code)
    assert message in record["error"]
    for text in (files["summary"].read_text(), page.read_text()):
        assert "No verdict was reached" in text
        assert f"exit code {code}" in text
    assert "::error title=Gate without a verdict::" in capsys.readouterr().err


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    recipe, suite = tmp_path / "gate.yaml", tmp_path / "suite.jsonl"
    for path in (recipe, suite):
        path.write_text("kept")
    given = [str(recipe), "--suite", str(suite)]
    refused = {
        ("--junit", str(tmp_path / "no" / "x")): "--junit .*: its folder does not exist",
        ("--json", str(suite)): "is a file that this command reads",
        ("--summary", str(recipe)): "is a file that this command reads",
        ("--json", str(tmp_path / "a"), "--report", str(tmp_path / "a")): "named twice",
    }
    for extra, why in refused.items():
        with pytest.raises(UsageError, match=why):
            command(pytest.fail).main([*given, *extra], standalone_mode=False)
    assert recipe.read_text() == suite.read_text() == "kept"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("given", [["{}"], ["--policy", "{}"]], ids=["recipe", "policy"])
def test_the_command_does_not_write_over_what_it_judges_by(
    tmp_path: Path, given: list[str]
) -> None:
    path = tmp_path / "bot.yaml"
    path.write_text("kept")
    arguments = [part.format(path) for part in given]
    with pytest.raises(UsageError, match="is a file that this command reads"):
        llmops_gate.main([*arguments, "--summary", str(path)], standalone_mode=False)
    assert path.read_text() == "kept"


def test_a_write_that_fails_after_the_decision_is_a_failure_without_a_verdict(
    files: dict[str, Path], tmp_path: Path
) -> None:
    def lose() -> None:
        files["report"].unlink()
        files["report"].mkdir()

    with pytest.raises(LlmopsError, match=r"--report .*: cannot be written"):
        command(lose).main(["gate.yaml", *options(files)], standalone_mode=False)
    assert kinds(files["junit"]) == ["error"]


def commented(comments: Comments, monkeypatch: pytest.MonkeyPatch, *given: str) -> object:
    for name, value in on_github(comments).items():
        monkeypatch.setenv(name, value)
    return command(lambda: None).main(["gate.yaml", *given], standalone_mode=False)


def test_the_comment_is_the_summary_and_a_failure_replaces_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with github() as comments:
        assert commented(comments, monkeypatch) == 3
        assert comments.asked == [], "no comment without --comment"
        assert commented(comments, monkeypatch, "--comment") == 3
        assert comments.bodies[101].splitlines()[1:] == ["## REJECTED"]
        with pytest.raises(UsageError):
            commented(comments, monkeypatch, "--comment", "--junit", "no/such/file")
        assert list(comments.bodies) == [101]
        assert "No verdict was reached" in comments.bodies[101]


def test_a_comment_that_cannot_be_written_is_a_warning_and_the_exit_code_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with github() as comments:
        comments.read_only = True
        assert commented(comments, monkeypatch, "--comment") == 3
    assert "warning: no comment was written: POST " in capsys.readouterr().err
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert command(lambda: None).main(["gate.yaml", "--comment"], standalone_mode=False) == 3
    assert "this is no job" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    Outputs({}, False, "gate.yaml").decided(shown())
    assert "warning: $GITHUB_STEP_SUMMARY: cannot be written" in capsys.readouterr().err
