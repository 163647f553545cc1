"""The worker process: it answers on the socket it inherits, and says why it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from llmops.records import ModelFiles
from llmops.serve.engines import files_json
from llmops.serve.worker.main import KEY

GIVEN = "inherited-key"


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as opened:
        yield opened


def begin(
    listening: socket.socket, files: ModelFiles, folder: Path, key: str | None = GIVEN
) -> subprocess.Popen[str]:
    first = folder / "first.json"
    first.write_text(json.dumps({"name": "bot@v3", "files": files_json.to_json(files)}))
    command = [sys.executable, "-W", "ignore", "-m", "llmops.serve.worker.main"]
    return subprocess.Popen(
        [*command, "--fd", str(listening.fileno()), "--files-json", str(first), "--max-tokens=2"],
        pass_fds=[listening.fileno()],
        env={**os.environ, **({} if key is None else {KEY: key})},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_answers_on_the_inherited_socket_and_ends_on_a_signal(
    files: ModelFiles, listening: socket.socket, tmp_path: Path
) -> None:
    worker = begin(listening, files, tmp_path)
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/models"
        with httpx.Client(trust_env=False, timeout=120) as client:
            # The socket accepts at once, so the request waits until the model is loaded.
            models = client.get(url, headers={"Authorization": f"Bearer {GIVEN}"})
            names = [model["id"] for model in models.json()["data"]]
            assert names == ["bot@v3", files.base.digest]
            assert client.get(url).status_code == 401, "the key came from the environment"
            asked = {"model": "bot@v3", "prompt": "Split"}
            key = {"Authorization": f"Bearer {GIVEN}"}
            said = client.post(url.replace("models", "completions"), json=asked, headers=key)
            assert said.json()["usage"]["completion_tokens"] <= 2, "nobody set a limit"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) in (0, -signal.SIGTERM)
    finally:
        worker.kill()
        worker.communicate()


def test_other_bytes_and_a_missing_key_are_errors_without_a_traceback(
    files: ModelFiles, listening: socket.socket, tmp_path: Path
) -> None:
    for wrong, key, says in (
        (replace(files, adapter_digest="0" * 64), GIVEN, "the bytes differ"),
        (files, None, KEY),
    ):
        worker = begin(listening, wrong, tmp_path, key)
        _, said = worker.communicate(timeout=120)
        assert worker.returncode != 0
        assert "error: " in said
        assert says in said
        assert "Traceback" not in said
