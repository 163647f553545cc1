"""A smoke test leaves an answer and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from versions import log_version

from llmops import serve
from llmops.errors import NotFoundError
from llmops.flavor import add_base
from llmops.models import resolve
from llmops.records import Sampling

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def version(store, tiny_model, tiny_adapter) -> str:
    base = add_base(tiny_model, "tiny")
    return log_version(tiny_adapter, base, "bot").uri


def test_the_answer_is_that_of_the_version_and_no_deployment_is_left(
    version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from llmops.flavor import load_model

    (expected,) = load_model(version).generate([HI], Sampling(max_tokens=8))
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        text=True,
        capture_output=True,
        check=True,
    )
    abandoned = serve.create(f"demo-trial-{int(ended.stdout)}", version)
    other = serve.create(f"demo-trial-{os.getppid()}", version)
    try:
        answer = serve.smoke_test("demo", version, "hi", Sampling(max_tokens=8))
        assert answer == expected.text
        left = [deployment.name for deployment in serve.list_all()]
    finally:
        serve.delete(other.name)
    assert abandoned.name not in left
    assert left == [other.name], "its parent is alive: another smoke test is using it"
    assert "whole and streamed" in capsys.readouterr().err


def test_a_version_that_does_not_exist_starts_nothing(store: str) -> None:
    with pytest.raises(NotFoundError):
        serve.smoke_test("demo", "models:/bot/9", "hi", Sampling(max_tokens=8))
    assert serve.list_all() == []
    with pytest.raises(NotFoundError):
        resolve("models:/bot/9")
