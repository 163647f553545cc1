"""The one plugin that MLflow imports for everybody: it must never be the one that breaks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from llmops.store.tags import GIT_BRANCH, GIT_COMMIT, JOB_URL, PULL_REQUEST
from mlflow_plugins.run_context import LlmopsRunContext

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("one")
    for arguments in (["init", "-qb", "main"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *arguments], check=True)
    return tmp_path


def test_runs_carry_the_commit_and_say_when_files_differ(repository: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    commit = head.stdout.strip()[:12]
    assert LlmopsRunContext().tags() == {GIT_COMMIT: commit, GIT_BRANCH: "main"}
    (repository / "file").write_text("two")
    assert LlmopsRunContext().tags() == {GIT_COMMIT: f"{commit}-dirty", GIT_BRANCH: "main"}
    subprocess.run([*GIT, "checkout", "-q", "--detach"], check=True)
    assert LlmopsRunContext().tags() == {GIT_COMMIT: f"{commit}-dirty"}


def test_a_repository_without_a_commit_has_a_branch_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run([*GIT, "init", "-qb", "main"], check=True)
    assert LlmopsRunContext().tags() == {GIT_BRANCH: "main"}


def test_runs_of_a_job_carry_its_pull_request_and_page(
    store: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "GITLAB_CI": "true",
        "CI_COMMIT_SHA": "c" * 40,
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "shorter",
        "CI_JOB_URL": "https://ann:s3cret@gitlab.example/acme/bot/-/jobs/5",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with mlflow.start_run() as run:
        pass
    tags = mlflow.get_run(run.info.run_id).data.tags
    assert {name: tags[name] for name in (GIT_COMMIT, GIT_BRANCH, PULL_REQUEST, JOB_URL)} == {
        GIT_COMMIT: "c" * 12,
        GIT_BRANCH: "shorter",
        PULL_REQUEST: "3",
        JOB_URL: "https://***@gitlab.example/acme/bot/-/jobs/5",
    }
    assert "s3cret" not in str(tags)


def test_a_real_run_has_the_tag(store: str, repository: Path) -> None:
    with mlflow.start_run() as run:
        pass
    assert GIT_COMMIT in mlflow.get_run(run.info.run_id).data.tags


def test_outside_a_repository_there_is_no_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert LlmopsRunContext().tags() == {}


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_GIT_TAG", "0")
    assert not LlmopsRunContext().in_context()


BROKEN = {
    "no git on the path": {"PATH": "/nonexistent"},
    "an unusable home": {"LLMOPS_HOME": "\udcff/\x01"},
    "nonsense": {"LLMOPS_GIT_TAG": "maybe", "LLMOPS_DEBUG": "?", "LLMOPS_API_KEY": ""},
    "a broken git": {"GIT_DIR": "/dev/null"},
    "a broken job": {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_PATH": "/dev/zero",
        "GITHUB_SHA": "\udcff",
    },
}


@pytest.mark.parametrize("environment", BROKEN.values(), ids=BROKEN.keys())
def test_no_environment_breaks_import_mlflow(
    environment: dict[str, str], tmp_path: Path, store: str
) -> None:
    script = (
        "import sys, mlflow\n"
        "with mlflow.start_run(): pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'mlflow_plugins.run_context' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
