"""Servers for tests that need a real one: PostgreSQL, `mlflow server`, `mlflow models serve`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

BIN = Path(sys.executable).parent
ACCOUNT = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this account."""
SECONDS = 180


def environment(**changes: str) -> dict[str, str]:
    """This process's environment for a child: its own scripts first on PATH, no active run."""
    dropped = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **changes}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(command: list[str], folder: Path, health: str, env: dict[str, str]) -> Iterator[Path]:
    """A server until the end of the block, once its health page answers; yields its log."""
    log = folder / f"{Path(command[0]).name}-{os.getpid()}-{time.monotonic_ns()}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + SECONDS
        while not _answers(health):
            assert process.poll() is None, log.read_text()[-4_000:]
            assert time.monotonic() < deadline, log.read_text()[-4_000:]
            time.sleep(0.2)
        yield log
    finally:
        _end(process)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its children."""
    if process.poll() is not None:
        return
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in tree:
        one.terminate()
    _, alive = psutil.wait_procs(tree, timeout=20)
    for one in alive:
        one.kill()
    process.wait(timeout=20)


@contextmanager
def mlflow_server(folder: Path, *options: str, backend: str | None = None) -> Iterator[str]:
    """`mlflow server` on a free port of loopback; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(BIN / "mlflow"), "server", "--port", str(port), "--workers", "1", *options]
    command += ["--backend-store-uri", backend or f"sqlite:///{folder / 'server.db'}"]
    # Without its job runners: six processes that these tests do not need.
    env = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    with running(command, folder, f"{url}/health", env):
        yield url


@contextmanager
def machine(folder: Path, store: str) -> Iterator[dict[str, str]]:
    """This process works in a folder, with a home below it and a store; yields that environment.

    For what several tests share: the fixtures of `conftest.py` are of one test.
    """
    import mlflow

    own = {"LLMOPS_HOME": str(folder / "home"), "MLFLOW_TRACKING_URI": store}
    before = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in own.items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(store)
        mlflow.set_experiment("tests")  # else that of an earlier test, which this store has not
        patch.delenv("MLFLOW_EXPERIMENT_ID")  # set_experiment exports it
        try:
            yield environment(**own)
        finally:
            mlflow.set_tracking_uri(before)  # exported too; the patch takes that back


@dataclass(frozen=True)
class PostgreSQL:
    """A running server.

    Attributes:
        folder: Holds its data and its socket.
    """

    folder: Path

    def uri(self, database: str) -> str:
        """Address of a database for MLflow. SQLAlchemy 2.0 and 2.1 have different default drivers."""
        return f"postgresql+psycopg://{ACCOUNT}@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(host=str(self.folder), user=ACCOUNT, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


def postgresql_programs() -> Path | None:
    """Folder of PostgreSQL's programs, the newest; Debian keeps them off PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda f: int(f.parts[-2]))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def no_postgresql() -> str | None:
    """Why no PostgreSQL can be started here, ``None`` if it can."""
    if postgresql_programs() is None:
        return "no PostgreSQL on this machine (Debian: apt-get install postgresql)"
    if find_spec("psycopg") is None:
        return "no psycopg in this environment (pip install 'psycopg[binary]')"
    if os.geteuid() == 0 and _account() is None:
        return f"PostgreSQL does not run as root, and this machine has no account {ACCOUNT!r}"
    return None


def _account() -> str | None:
    import pwd

    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        return None


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL on a Unix socket of its own, until the end of the block."""
    programs = postgresql_programs()
    assert programs is not None
    # Not below pytest's folder, which another account may not enter, nor where paths are long.
    folder = Path(tempfile.mkdtemp(prefix="llmops-pg-", dir="/tmp"))
    account = {"user": ACCOUNT, "group": ACCOUNT} if os.geteuid() == 0 else {}
    if account:
        shutil.chown(folder, **account)
    try:
        data = folder / "data"
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", ACCOUNT, "-A", "trust"]
        made = subprocess.run(
            [*initdb, "-E", "UTF8", "--no-locale", "--no-sync"],
            **account,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        settings = {"unix_socket_directories": folder, "listen_addresses": "", "fsync": "off"}
        command = [str(programs / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, **account, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_for(programs, folder, process)
            yield PostgreSQL(folder)
        finally:
            process.send_signal(2)  # its fast shutdown: open connections are ended
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(programs: Path, folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    ready = [str(programs / "pg_isready"), "-q", "-h", str(folder)]
    while subprocess.run(ready, check=False).returncode != 0:
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)


@contextmanager
def answering(app: object) -> Iterator[str]:
    """An ASGI application of this process on a free port of loopback; yields its URL."""
    import threading

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
