"""A hub id, downloaded by the real hub library from a hub that runs in this test."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_models import build_tiny_adapter

COMMIT = hashlib.sha1(b"first").hexdigest()


class Hub:
    """Serves one model at one commit, and counts what is fetched."""

    def __init__(self, folder: Path, repository: str = "owner/tiny") -> None:
        self.fetched: Counter[str] = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None: ...

            def do_HEAD(self) -> None:
                self._file(with_body=False)

            def do_GET(self) -> None:
                if self.path.startswith("/api/models/"):
                    return self._info()
                return self._file(with_body=True)

            def _info(self) -> None:
                if not self.path.startswith(f"/api/models/{repository}"):
                    return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                paths = sorted(folder.iterdir())
                tree = [
                    {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": p.name}
                    for p in paths
                ]
                files = [{"rfilename": path.name} for path in paths]
                info = {"id": repository, "sha": COMMIT, "siblings": files}
                answer = tree if "/tree/" in self.path else info
                return self._send(200, json.dumps(answer).encode(), {})

            def _file(self, *, with_body: bool) -> None:
                path = folder / self.path.rpartition("/")[2].partition("?")[0]
                if not path.is_file():
                    return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                data = path.read_bytes()
                if with_body:
                    hub.fetched[path.name] += 1
                headers = {
                    "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                    "X-Repo-Commit": COMMIT,
                }
                return self._send(200, data, headers, with_body=with_body)

            def _send(
                self, status: int, data: bytes, headers: dict[str, str], *, with_body: bool = True
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if with_body:
                    self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def hub(tiny_model: Path, tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "hub"
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04 pickled")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    found = Hub(folder)
    yield found
    found.server.shutdown()
    found.server.server_close()


def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
    }


ADD = """
import sys
from llmops import flavor
base = flavor.add_base("owner/tiny", revision="main")
print(base.digest, base.origin, base.uri)
"""


def test_processes_that_add_one_hub_id_download_and_register_it_once(
    store: str, hub: Hub, tmp_path: Path
) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", ADD],
            env=environment(hub, tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    printed = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], printed
    (line,) = {out.strip().splitlines()[-1] for out, _ in printed}
    assert line.endswith(f"hub:owner/tiny@{COMMIT} models:/tiny/1")
    assert hub.fetched["model.safetensors"] == 1
    assert "pytorch_model.bin" not in hub.fetched
    assert "modeling_evil.py" not in hub.fetched


LOG_AND_FORGET = """
import shutil, sys
import mlflow
from llmops import flavor
from llmops.store import connection
flavor.log_model(sys.argv[1], base="owner/tiny", registered_model_name="bot")
base = flavor.ensure_base("tiny")
shutil.rmtree(base.directory)
connection.client().delete_registered_model("tiny")
print(flavor.load_model("models:/bot/1").files.base.origin)
"""


def test_a_pin_finds_its_base_on_the_hub_when_the_registry_lost_it(
    store: str, hub: Hub, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = build_tiny_adapter(tiny_model, tmp_path / "adapter")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOG_AND_FORGET, str(adapter)],
        env=environment(hub, tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == f"hub:owner/tiny@{COMMIT}"


@pytest.mark.parametrize("reference", ["owner/absent", "nobody/nothing"])
def test_a_hub_id_that_is_not_there_is_told_in_words(
    store: str, hub: Hub, tmp_path: Path, reference: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llmops", "base", "add", reference],
        env=environment(hub, tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"hub model {reference}: cannot be downloaded" in done.stderr
    assert "Next:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_that_does_not_answer_is_told_in_words(store: str, hub: Hub, tmp_path: Path) -> None:
    env = {**environment(hub, tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "llmops", "base", "add", "owner/tiny"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be downloaded" in done.stderr
    assert "Traceback" not in done.stderr
