from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from llmops import serve
from llmops.errors import NotFoundError, ServeError, UsageError
from llmops.records import Deployment
from llmops.serve.deployment import state


def deployment(name: str = "bot", *, pid: int | None = None, created: float = 1.0) -> Deployment:
    folder = state.folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    found = Deployment(
        name=name,
        model="bot/3",
        uri="models:/bot/3",
        endpoint="http://127.0.0.1:9",
        pid=os.getpid() if pid is None else pid,
        created=created,
        log=folder / "server.log",
    )
    state.write(found)
    return found


def test_state_survives_on_disk() -> None:
    written = [deployment("b"), deployment("a")]
    assert serve.get("b") == written[0]
    assert serve.list_all() == [written[1], written[0]]


def test_a_process_number_that_was_given_away_is_a_stopped_deployment() -> None:
    reused = deployment()  # this process's number, another start time
    assert serve.status(reused) == "stopped"
    serve.delete("bot")
    assert serve.list_all() == []


def test_a_process_that_does_not_answer_is_not_ready() -> None:
    alive = deployment(created=psutil.Process().create_time())
    assert serve.status(alive) == "not ready"


def test_an_unknown_deployment_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="deployments list"):
        serve.get("bot")
    with pytest.raises(NotFoundError):
        serve.delete("bot")


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b", "x" * 129])
def test_names_that_cannot_be_folders_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="deployment name"):
        serve.create(name, "models:/bot/1")
    with pytest.raises(UsageError, match="deployment name"):
        serve.get(name)


def test_two_commands_on_one_deployment_exclude_each_other() -> None:
    deployment()
    with state.locked("bot"):
        began = time.monotonic()
        with pytest.raises(ServeError, match="another command"):
            serve.delete("bot")
        with pytest.raises(ServeError, match="another command"):
            serve.create("bot", "models:/bot/1")
        assert time.monotonic() - began < 5
    serve.delete("bot")


def test_a_damaged_state_file_is_named_and_hides_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = deployment()
    Path(damaged.log).with_name("state.json").write_text("{")
    assert serve.list_all() == []
    assert "not a state file" in capsys.readouterr().err
    with pytest.raises(ServeError, match="not a state file"):
        serve.get(damaged.name)
