"""The MLflow store of this process: opened by many at once, and its errors in words."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from sqlalchemy.exc import OperationalError

from llmops.errors import StoreError
from llmops.store import connection as stores


def test_processes_that_open_a_new_store_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'new.db'}")
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "home"))
    command = [sys.executable, "-m", "llmops", "base", "ls"]
    begun = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    told = [one.communicate(timeout=300)[1] for one in begun]
    assert [one.returncode for one in begun] == [0] * 3, told


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
