"""The name of a candidate line: a variable, the branch, or ``local``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llmops.errors import UsageError
from llmops.gate.lines import check_line, line_name


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-b", "mehr/üben+2")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    return tmp_path


def test_it_is_the_branch_in_letters_that_every_store_takes(repository: Path) -> None:
    assert line_name({}, repository) == "mehr/-ben+2"
    git(repository, "checkout", "-b", "fix/length_2")
    assert line_name({}, repository) == "fix/length_2"


def test_without_branch_or_repository_it_is_local(repository: Path) -> None:
    git(repository, "checkout", "--detach")
    assert line_name({}, repository) == "local"
    assert line_name({}, repository / "gone") == "local"
    assert line_name({}, Path("/")) == "local"


def test_a_pull_request_is_a_line_whatever_its_branch(repository: Path) -> None:
    job = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/pull/12/merge", "GITHUB_HEAD_REF": "fix"}
    assert line_name(job, repository) == "pr-12"
    push = {"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main"}
    git(repository, "checkout", "--detach")
    assert line_name(push, repository) == "main"


def test_a_variable_wins(repository: Path) -> None:
    assert line_name({"LLMOPS_LINE": " pr-7 "}, repository) == "pr-7"
    with pytest.raises(UsageError, match='LLMOPS_LINE "a\'b": expected at most 200 letters'):
        line_name({"LLMOPS_LINE": "a'b"}, repository)


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 201, "a'", 'a"', "a`", "ü", "a\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--line") as caught:
        check_line(name, "--line")
    assert caught.value.next_command == "--line pr-123"


@pytest.mark.parametrize("name", ["pr-1", "feature/a_b", "release/1.2", "x" * 200])
def test_a_name_is_kept(name: str) -> None:
    assert check_line(name, "--line") == name
