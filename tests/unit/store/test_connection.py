"""The MLflow store of this process: opened by many at once, and its errors in words."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from llmops.errors import StoreError
from llmops.store import connection as stores


def test_processes_that_open_a_new_store_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'new.db'}")
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "home"))
    command = [sys.executable, "-c", "from llmops.store import connection as c; c.connect()"]
    begun = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    told = [one.communicate(timeout=300)[1] for one in begun]
    assert [one.returncode for one in begun] == [0] * 3, told


@pytest.mark.usefixtures("store")  # which puts the tracking URI back: MLflow exports it
def test_a_database_that_is_none_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "odd.db").write_bytes(b"no database" * 1000)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'odd.db'}")
    with pytest.raises(StoreError, match=r"opening sqlite:.*odd.db: .*not a database") as refused:
        stores.connect()
    assert "[SQL" not in refused.value.message
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "No space left.*'/a/b'"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "Permission denied: '/a'"),
        (OperationalError("select 1", {}, Exception("disk is full")), "disk is full$"),
    ],
)
def test_what_a_store_raises_says_what_was_being_done(error: Exception, said: str) -> None:
    with (
        pytest.raises(StoreError, match=f"(?m)^logging it: .*{said}"),
        stores.store_errors("logging it"),
    ):
        raise error


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server on loopback that gives every request the same bytes; yields its address."""

    def serve() -> None:
        with suppress(OSError):  # the end: the listener is closed
            while True:
                with listener.accept()[0] as connection:
                    connection.recv(65_536)
                    connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.usefixtures("store")
def test_errors_of_a_store_need_no_database_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy.exc", None)  # as beside mlflow-skinny
    with (
        pytest.raises(StoreError, match="reading it: MLflow refused: no"),
        stores.store_errors("reading it"),
    ):
        raise MlflowException("no")
    with pytest.raises(ZeroDivisionError), stores.store_errors("reading it"):
        raise ZeroDivisionError


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "502 Bad Gateway"])
def test_a_server_that_answers_anything_is_reached(status: str) -> None:
    with answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as address:
        mlflow.set_tracking_uri(address)
        assert stores.connect() == address


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("reply", "reason"), [(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "illegal"), (b"", "disconnected")]
)
def test_what_speaks_no_http_is_not_reachable(reply: bytes, reason: str) -> None:
    with answering(reply) as address:
        mlflow.set_tracking_uri(address)
        with pytest.raises(StoreError, match=rf"{address}: not reachable within 5 s .*({reason})"):
            stores.connect()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "http://"])
def test_an_address_without_a_server_is_not_reachable(address: str) -> None:
    mlflow.set_tracking_uri(address)
    with pytest.raises(StoreError, match="not reachable") as refused:
        stores.connect()
    assert "MLFLOW_TRACKING_URI" in str(refused.value.next_command)


@pytest.mark.usefixtures("store")
def test_a_server_is_asked_through_the_proxy_that_mlflow_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        mlflow.set_tracking_uri("http://mlflow.invalid")
        assert stores.connect() == "http://mlflow.invalid"
    monkeypatch.setenv("http_proxy", "odd://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"not reachable.*odd"):
        stores.connect()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://[::1", "URI is invalid: Invalid IPv6 URL"),
        ("ftp://me:secret@h/x", r"opening ftp://\*\*\*@h/x: MLflow refused: .*unsupported URI"),
        ("http://me:secret@127.0.0.1:9", r"MLflow server http://\*\*\*@127.0.0.1:9: not reachable"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_without_its_password(uri: str, said: str) -> None:
    mlflow.set_tracking_uri(uri)
    with pytest.raises(StoreError, match=said) as refused:
        stores.connect()
    assert "secret" not in str(refused.value)


@pytest.mark.usefixtures("store")
def test_links_and_hints_have_no_password() -> None:
    mlflow.set_tracking_uri("https://me:secret@mlflow.example/base/")
    assert stores.ui("/models/bot") == "https://mlflow.example/base/#/models/bot"
    assert stores.ui_hint() is None
    mlflow.set_tracking_uri("postgresql://me:secret@db/mlflow")
    assert stores.ui("/models/bot") == "http://127.0.0.1:5000/#/models/bot"
    assert stores.ui_hint() == "mlflow server --backend-store-uri postgresql://***@db/mlflow"


def test_a_relative_database_is_named_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert stores.absolute("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    for same in (
        "sqlite:////x/mlflow.db",
        "sqlite://",
        "sqlite:///:memory:",
        "http://x:5000",
        "mlruns",
    ):
        assert stores.absolute(same) == same


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///none.db",
        "sqlite:///none.db?timeout=5",
        "sqlite:///file:none.db?uri=true",
        "sqlite+pysqlite:///none.db",
    ],
)
def test_whoever_only_reads_creates_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stores, "_uris", lambda: [uri])
    with pytest.raises(StoreError, match="no such store") as refusal:
        stores.connect(create=False)
    assert str(tmp_path / "none.db") in refusal.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["sqlite:///:memory:", "sqlite:///file:some.db?uri=true"])
def test_what_is_there_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.db").touch()
    monkeypatch.setattr(stores, "_uris", lambda: [uri])
    stores.connect(create=False)
