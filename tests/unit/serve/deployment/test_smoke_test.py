"""The smoke test of a version: a real server that answers whole and streamed, and is gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sides import generate
from versions import log_version

from llmops import serve
from llmops.engine.local.engine import LocalEngine
from llmops.errors import ServeError
from llmops.files import home
from llmops.flavor import add_base
from llmops.models.resolve import resolve
from llmops.records import Answer, Deployment, Sampling
from llmops.serve.deployment import smoke_test as module
from llmops.serve.deployment import state

SAMPLING = Sampling(max_tokens=4)


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.fixture
def alive() -> Iterator[int]:
    """Another process that is still running."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def recorded(name: str) -> Deployment:
    """A stopped deployment, as a killed process leaves it."""
    folder = state.folder(name)
    folder.mkdir(parents=True)
    made = Deployment(
        name=name,
        model="bot/1",
        uri="models:/bot/1",
        endpoint="http://127.0.0.1:9",
        pid=dead_process(),
        created=time.time(),
        log=folder / state.LOG_FILE,
    )
    state.write(made)
    return made


def test_a_version_that_serves_is_proved_and_leaves_nothing(
    store: str, tiny_model: Path, tiny_adapter: Path, alive: int
) -> None:
    version = log_version(tiny_adapter, add_base(tiny_model, "tiny"), "bot")
    abandoned = recorded(f"quickstart-trial-{dead_process()}")
    running = recorded(f"quickstart-trial-{alive}")
    other = recorded(f"other-trial-{dead_process()}")
    answer = serve.smoke_test("quickstart", version.uri, "hi", SAMPLING)
    files = resolve(version.uri)
    hi = [{"role": "user", "content": "hi"}]
    assert answer == generate(LocalEngine([files]), files, [hi], SAMPLING)[0].text
    left = [deployment.name for deployment in serve.list_all()]
    assert left == sorted([running.name, other.name]), f"{abandoned.name} is deleted"


@pytest.mark.parametrize(
    ("whole", "pieces", "sampling", "says"),
    [
        (" \n", [" \n"], SAMPLING, "the answer to 'hi' is empty"),
        ("one two", ["one", " three"], SAMPLING, "answered 'one two', but streamed 'one three'"),
        ("one two", ["one", " three"], Sampling(temperature=0.5), None),  # two draws may differ
    ],
)
def test_an_answer_that_proves_nothing_is_an_error_and_the_deployment_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
    whole: str,
    pieces: list[str],
    sampling: Sampling,
    says: str | None,
) -> None:
    def ask(*_: object, stream: bool = False) -> Answer | Iterator[str | Answer]:
        answer = Answer(whole, 2, 2, "stop")
        return iter([*pieces, answer]) if stream else answer

    names: list[str] = []

    def create(name: str, _: str) -> Deployment:
        names.append(name)
        return recorded(name)

    monkeypatch.setattr(module, "create", create)
    monkeypatch.setattr(module, "ask", ask)
    if says is None:
        assert serve.smoke_test("q" * 120, "models:/bot/1", "hi", sampling) == whole
    else:
        with pytest.raises(ServeError, match=f"models:/bot/1: {says}"):
            serve.smoke_test("q" * 120, "models:/bot/1", "hi", sampling)
    assert names == [f"{'q' * 100}-trial-{os.getpid()}"]
    assert serve.list_all() == []
    assert not list((home.home() / "deployments").glob("q*"))
