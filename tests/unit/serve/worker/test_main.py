"""The server process: it answers on the socket it inherits, and says why it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from versions import log_version

from llmops.flavor import add_base
from llmops.serve.deployment import address

KEY = "inherited-key"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with closing(address.listen("127.0.0.1", 0)) as opened:
        yield opened


def begin(listening: socket.socket, uri: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-m", "llmops.serve.worker.main"]
    return subprocess.Popen(
        [*command, "--name", "demo", "--uri", uri, "--fd", str(listening.fileno())],
        pass_fds=[listening.fileno()],
        env={**os.environ, "LLMOPS_API_KEY": KEY},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_answers_on_the_inherited_socket_and_ends_on_a_signal(
    store, tiny_model, tiny_adapter, listening: socket.socket
) -> None:
    uri = log_version(tiny_adapter, add_base(tiny_model, "tiny"), "bot").uri
    worker = begin(listening, uri)
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/models"
        with httpx.Client(trust_env=False, timeout=120) as client:
            # The socket accepts at once, so the request waits until the model is loaded.
            models = client.get(url, headers={"Authorization": f"Bearer {KEY}"})
            assert {"bot/1", "demo"} & {model["id"] for model in models.json()["data"]}
            assert client.get(url).status_code == 401, "the key came from the environment"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) in (0, -signal.SIGTERM)
    finally:
        worker.kill()
        worker.communicate()


def test_a_version_that_does_not_exist_is_an_error_without_a_traceback(
    store: str, listening: socket.socket
) -> None:
    worker = begin(listening, "models:/bot/9")
    _, said = worker.communicate(timeout=120)
    assert worker.returncode == 2
    assert "error: models:/bot/9: no such version" in said
    assert "Traceback" not in said
