"""A vLLM server's process, from its start to its end; stand-ins do what vLLM does not on demand."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from vllm_standins import FRAGILE, serving

from llmops.engine.vllm.environment import find_environment
from llmops.engine.vllm.process import Server
from llmops.errors import LlmopsError, ServeError

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


@pytest.mark.parametrize(
    ("name", "program", "seconds"),
    [("bot", "import time\ntime.sleep(60)", 0.0), ("another", FRAGILE, 1.0)],
)
def test_a_server_that_is_not_ready_in_time_is_an_error(
    tmp_path: Path, name: str, program: str, seconds: float
) -> None:
    late = pytest.raises(ServeError, match=f"not ready after {seconds:.0f} s")
    with late, started(tmp_path, program, name=name, seconds=seconds):
        pass


def test_a_server_that_ends_at_once_is_an_error(tmp_path: Path) -> None:
    ended = pytest.raises(ServeError, match=r"ended with status 2(?s:.*)no such model")
    with ended, started(tmp_path, "raise SystemExit(print('no such model') or 2)"):
        pass


SICK = FRAGILE.replace(
    "def do_GET(self):",
    """def do_GET(self):
        if self.path == "/health" and os.path.exists(sys.argv[0] + ".sick"):
            self.send_response(503)
            self.send_header("Content-Length", "0")
            return self.end_headers()""",
)


def test_a_server_whose_engine_process_died_is_not_healthy(tmp_path: Path) -> None:
    with started(tmp_path, SICK) as server:
        server.check_health()
        (tmp_path / "server.py.sick").touch()
        with pytest.raises(ServeError, match="the engine inside the server has ended"):
            server.check_health()
        server.check_runs()


def wait_until_closed(port: int | None) -> None:
    """Wait until nothing listens on a port: the server closes it after its answer."""
    deadline = time.monotonic() + 20
    with suppress(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(("127.0.0.1", port or 0), timeout=1).close()
            time.sleep(0.02)


def test_a_server_that_no_longer_listens_is_not_healthy(tmp_path: Path) -> None:
    deaf = FRAGILE.replace("HTTPServer((value", "import time\nserver = HTTPServer((value").replace(
        "Handler).serve_forever()",
        "Handler)\nserver.handle_request()\nserver.server_close()\ntime.sleep(60)",
    )
    with started(tmp_path, deaf) as server:  # the one request asked for its models
        server.check_runs()
        wait_until_closed(urlsplit(server.address).port)
        with pytest.raises(ServeError, match="the server no longer listens"):
            server.check_health()
