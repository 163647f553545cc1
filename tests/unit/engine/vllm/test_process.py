"""A vLLM server's process, from its start to its end; stand-ins do what vLLM does not on demand."""

from __future__ import annotations

import ast
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from vllm_standins import FRAGILE, serving

from llmops.engine.vllm.environment import find_environment
from llmops.engine.vllm.process import Server
from llmops.errors import LlmopsError, ServeError
from llmops.files import home

REFUSING = FRAGILE.replace(
    'print("out of memory", flush=True)\n        os._exit(3)',
    """self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"error": {"message": "rank 64 is too high"}}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)""",
)
DAY = 86_400


@contextmanager
def started(
    folder: Path, program: str = FRAGILE, *, name: str = "bot", seconds: float = 30.0
) -> Iterator[Server]:
    server = Server(
        find_environment(serving(folder, program)),
        ["--served-model-name", "bot"],
        names=[name],
        key="secret",
        seconds=seconds,
    )
    try:
        yield server
    finally:
        server.close()


def listens(server: Server) -> bool:
    address = urlsplit(server.address)
    with socket.socket() as probe:
        return probe.connect_ex((str(address.hostname), int(address.port or 0))) == 0


def test_a_server_runs_until_it_is_closed_and_leaves_no_log(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        server.check_runs()
        server.check_answers()
        assert server.log.is_file()
        assert listens(server)
    assert not server.log.exists()
    assert not listens(server)
    server.close()


def test_a_server_inherits_no_settings_of_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for a local server")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    with started(tmp_path) as server:
        assert server.log.read_text().splitlines()[0] == "[]"


def test_settings_that_open_a_server_to_others_are_not_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ("LLMOPS_VLLM_RESOLVER", "VLLM_SKIP_MODEL_NAME_VALIDATION", "VLLM_SERVER_DEV_MODE")
    for name in refused:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    with started(tmp_path, "import os\nprint(dict(os.environ), flush=True)\n" + FRAGILE) as server:
        inherited = ast.literal_eval(server.log.read_text().splitlines()[0])
    assert not {*refused} & set(inherited)
    assert inherited["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert inherited["VLLM_CPU_KVCACHE_SPACE"] == "2"


def test_a_share_of_the_memory_replaces_the_cache_of_a_fixed_size(tmp_path: Path) -> None:
    server = Server(
        find_environment(serving(tmp_path, "import os\nprint(dict(os.environ))\n" + FRAGILE)),
        ["--served-model-name", "bot", "--gpu-memory-utilization", "0.5"],
        names=["bot"],
        key="secret",
        folder=tmp_path,
    )
    server.close()
    assert "VLLM_CPU_KVCACHE_SPACE" not in server.log.read_text().splitlines()[0]


def test_a_log_in_a_folder_of_the_caller_is_kept(tmp_path: Path) -> None:
    server = Server(
        find_environment(serving(tmp_path, FRAGILE)),
        ["--served-model-name", "bot"],
        names=["bot"],
        key="secret",
        folder=tmp_path,
    )
    pid = server.pid
    assert psutil.Process(pid).cmdline()[1].endswith("server.py")
    server.close()
    assert not psutil.pid_exists(pid)
    (log,) = tmp_path.glob("engine-*.log")
    assert log == server.log
    assert log.stat().st_mode & 0o077 == 0


def test_a_server_that_dies_keeps_its_log_and_the_error_quotes_it(tmp_path: Path) -> None:
    died = pytest.raises(ServeError, match=r"ended with status 3(?s:.*)out of memory")
    with started(tmp_path) as server, died as failure:
        server.post("/v1/load_lora_adapter", {"lora_name": "x"})
    assert failure.value.next_command == f"less {server.log}"
    assert "out of memory" in server.log.read_text()


def test_the_reason_of_a_refused_command_is_reported(tmp_path: Path) -> None:
    with started(tmp_path, REFUSING) as server:
        with pytest.raises(LlmopsError, match="refuses /v1/x: rank 64 is too high") as refused:
            server.post("/v1/x", {})
        assert not isinstance(refused.value, ServeError)
        server.check_answers()


@pytest.mark.parametrize(("name", "seconds"), [("bot", 0.0), ("another", 1.0)])
def test_a_server_that_is_not_ready_in_time_is_an_error(
    tmp_path: Path, name: str, seconds: float
) -> None:
    late = pytest.raises(ServeError, match=f"not ready after {seconds:.0f} s")
    with late, started(tmp_path, name=name, seconds=seconds):
        pass


def test_a_server_that_ends_at_once_is_an_error(tmp_path: Path) -> None:
    ended = pytest.raises(ServeError, match=r"ended with status 2(?s:.*)no such model")
    with ended, started(tmp_path, "raise SystemExit(print('no such model') or 2)"):
        pass


def test_logs_of_failed_servers_are_deleted_after_a_week(tmp_path: Path) -> None:
    logs = home.folder("logs")
    for name, days in (("vllm-old.log", 8), ("vllm-new.log", 6), ("bot-old.log", 8)):
        (logs / name).touch()
        then = time.time() - days * DAY
        os.utime(logs / name, (then, then))
    with started(tmp_path):
        assert {
            path.name for path in logs.glob("*-*.log") if path.stem.endswith(("old", "new"))
        } == {
            "vllm-new.log",
            "bot-old.log",
        }
