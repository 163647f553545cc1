"""A smoke test leaves an answer and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest

from llmops import serve
from llmops.errors import NotFoundError
from llmops.models import resolve
from llmops.records import Sampling
from llmops.serve.auth import store as keys
from llmops.serve.deployment import options, smoke_test, state


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployments of versions without evidence: none was compared here."""
    create = smoke_test.create
    monkeypatch.setattr(smoke_test, "create", partial(create, unproven="allow"))


def test_the_answer_is_that_of_the_version_and_no_deployment_is_left(
    gateway: None, versions: str, allowed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        text=True,
        capture_output=True,
        check=True,
    )
    keys.add("ci")  # closes every deployment on this machine; the test has a key of its own
    recorded = [f"demo-trial-{int(ended.stdout)}", f"demo-trial-{os.getppid()}"]
    for name in recorded:
        state.create(options.configure(name, versions, None, {}), "http://127.0.0.1:9")
    answer = serve.smoke_test("demo", "models:/bot/1", "hi", Sampling(max_tokens=8))
    assert answer == "hello from here"
    left = [deployment.name for deployment in serve.list_all()]
    assert left == recorded[1:], "its parent is alive: another smoke test is using it"
    assert "serve: bot@v1 answered" in (said := capsys.readouterr().err)
    assert "whole and streamed" in said


def test_a_version_that_does_not_exist_starts_nothing(store: str) -> None:
    with pytest.raises(NotFoundError):
        serve.smoke_test("demo", "models:/bot/9", "hi", Sampling(max_tokens=8))
    assert serve.list_all() == []
    with pytest.raises(NotFoundError):
        resolve("models:/bot/9")
