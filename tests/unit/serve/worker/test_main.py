"""The server process: one version on an inherited socket, until a signal arrives."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from versions import log_version

from llmops.flavor import add_base
from llmops.records import ModelVersion
from llmops.serve.deployment import address
from llmops.serve.worker.main import main, serve


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    bound = address.listen("127.0.0.1", 0)
    yield bound
    bound.close()


@pytest.fixture
def bot(store: str, tiny_model: Path, tiny_adapter: Path) -> ModelVersion:
    return log_version(tiny_adapter, add_base(tiny_model, "tiny"), "bot")


@pytest.fixture
def _handled() -> Iterator[None]:
    """uvicorn raises the signal again when it has finished; it must not end the tests."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_handled")
def test_the_version_answers_those_who_know_the_key_until_sigterm(
    bot: ModelVersion, listening: socket.socket
) -> None:
    url, seen = address.endpoint(listening), {}

    def visit() -> None:
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
                seen["ready"] = http.get("/readyz").json()  # waits in the socket's backlog
                body = {
                    "model": "canary",
                    "messages": [{"role": "user", "content": "hi"}],
                    "max_tokens": 3,
                }
                path = "/v1/chat/completions"
                seen["refused"] = http.post(path, json=body).status_code
                key = {"Authorization": "Bearer secret"}
                seen["answer"] = http.post(path, json=body, headers=key).json()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=visit)
    visitor.start()
    serve("canary", bot.uri, listening, "secret")
    visitor.join()
    assert seen["ready"] == {"status": "ready", "deployment": "canary"}
    assert seen["refused"] == 401
    answer: Any = seen["answer"]
    assert answer["model"] == "bot/1"
    assert 0 < answer["usage"]["completion_tokens"] <= 3


def test_a_version_that_does_not_exist_ends_the_process_with_its_exit_code(
    store: str,
    listening: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LLMOPS_API_KEY", "secret")
    descriptor = os.dup(listening.fileno())
    arguments = ["--name", "canary", "--uri", "models:/bot/1", "--fd", str(descriptor)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "error: " in done.stderr
    assert "models:/bot/1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "LLMOPS_API_KEY" not in os.environ, "no child of the server inherits the key"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
