from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from llmops import serve
from llmops.errors import ServeError
from llmops.files import home
from llmops.serve.deployment.record import earlier


def written(name: str, **changes: object) -> Path:
    """A state file as the release before wrote it."""
    folder = home.folder("deployments") / name
    folder.mkdir()
    record = {
        "name": name,
        "model": "bot/3",
        "uri": "models:/bot/3",
        "endpoint": "http://127.0.0.1:9",
        "pid": os.getpid(),
        "created": psutil.Process().create_time(),
        "log": str(folder / "server.log"),
    }
    file = folder / "state.json"
    file.write_text(json.dumps(record | changes, indent=2))
    return file


def test_deployments_of_an_earlier_release_are_listed_and_deleted() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as server:
        started = psutil.Process(server.pid).create_time()
        file = written("old", pid=server.pid, created=started)
        (found,) = serve.list_all()
        assert (found.name, found.uri, found.model) == ("old", "models:/bot/3", "bot@v3")
        assert (found.pid, found.follow, found.engine) == (server.pid, False, "local")
        assert serve.status(found) == "not ready"
        assert not file.exists(), "it is read once"
        assert serve.get("old") == found
        serve.delete("old")
        assert server.poll() is not None
    assert serve.list_all() == []
    assert not file.parent.exists()


def test_one_that_is_known_already_is_not_recorded_again() -> None:
    written("old", pid=1, created=1.0)
    (before,) = serve.list_all()
    (before.log.parent / "state.json").write_text(
        json.dumps({"uri": "models:/other/1", "endpoint": "http://h:1", "pid": 2, "created": 2.0})
    )
    assert serve.list_all() == [before]


@pytest.mark.parametrize("content", ["{", "[]", '{"uri": "models:/b/1"}', ""])
def test_a_damaged_file_is_named_and_hides_no_other(
    content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written("good")
    damaged = written("bad")
    damaged.write_text(content)
    assert [deployment.name for deployment in serve.list_all()] == ["good"]
    said = capsys.readouterr().err
    assert f"{damaged}: not a state file" in said
    assert f"rm {damaged}" in said
    with pytest.raises(ServeError, match="not a state file"):
        serve.get("bad")
    with pytest.raises(ServeError, match="not a state file"):
        earlier.read(damaged)
    assert earlier.files() == [damaged]
