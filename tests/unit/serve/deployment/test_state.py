from __future__ import annotations

import os
import time
from contextlib import closing

import psutil
import pytest

from llmops import serve
from llmops.errors import NotFoundError, ServeError, UsageError
from llmops.records import Proof
from llmops.serve.deployment import state
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record import database

PROOF = Proof("d" * 64, "IMPROVED", "run")


def settings(name: str = "bot") -> Config:
    return Config(name=name, uri="models:/bot@champion", follow=True, host="127.0.0.1", port=9)


def recorded(name: str = "bot") -> Config:
    state.create(settings(name), "http://127.0.0.1:9")
    return settings(name)


def test_what_was_asked_for_and_what_is_done_survive_on_disk() -> None:
    config = recorded()
    assert state.claim("bot") == config
    state.report("bot", phase="loading bot@v7", model="bot@v7", uri="models:/bot/7", proof=PROOF)
    state.report("bot", phase="")
    record = state.get_record("bot")
    assert record.config == config
    assert (record.gateway.pid, record.endpoint) == (os.getpid(), "http://127.0.0.1:9")
    assert (record.status.model, record.status.proof) == ("bot@v7", PROOF)
    assert record.status.phase == ""


def test_processes_are_recorded_with_their_start_times() -> None:
    recorded()
    state.claim("bot")
    state.report("bot", processes=[os.getpid(), 2**22 + 1])
    (process,) = state.get_record("bot").status.processes
    assert (process.pid, process.created) == (os.getpid(), psutil.Process().create_time())


def test_only_the_process_that_is_recorded_may_report() -> None:
    recorded()
    state.claim("bot", os.getppid())  # as if another gateway had taken over
    state.report("bot", model="bot@v1")
    assert state.get_record("bot").status.model == ""
    state.claim("bot")
    state.report("bot", model="bot@v2")
    assert state.claim("bot") == settings(), "again, as the command and the gateway both claim"
    assert state.get_record("bot").status.model == "bot@v2"


def test_a_deployment_that_was_deleted_meanwhile_is_not_recorded_again() -> None:
    recorded()
    state.claim("bot")
    state.forget("bot")
    state.report("bot", model="bot@v1")
    state.retarget("bot", "models:/bot/8", follow=False)
    assert state.find_record("bot") is None
    assert state.find_gateway("bot") is None
    with pytest.raises(NotFoundError, match="deployments list"):
        state.claim("bot")


def test_a_process_that_has_ended_cannot_claim() -> None:
    recorded()
    with pytest.raises(ServeError, match="ended at once"):
        state.claim("bot", 2**22 + 1)


def test_another_uri_is_what_restart_finds() -> None:
    recorded()
    state.retarget("bot", "models:/bot/8", follow=False)
    config = state.get_record("bot").config
    assert (config.uri, config.follow) == ("models:/bot/8", False)


def test_logs_are_kept_where_they_may_explain_a_failure() -> None:
    recorded()
    log = state.folder("bot") / state.LOG_FILE
    log.parent.mkdir()
    log.touch()
    state.forget("bot", keep_logs=True)
    assert log.exists()
    recorded()
    state.forget("bot")
    assert not log.parent.exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b", "x" * 129])
def test_names_that_cannot_be_folders_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="deployment name"):
        serve.create(name, "models:/bot/1")
    with pytest.raises(UsageError, match="deployment name"):
        state.find_record(name)


def test_two_commands_on_one_deployment_exclude_each_other() -> None:
    recorded()
    with state.locked("bot"):
        began = time.monotonic()
        for command in (serve.delete, serve.restart, serve.update):
            with pytest.raises(ServeError, match="another command is starting, updating or"):
                command("bot")
        with pytest.raises(ServeError, match="another command"):
            serve.create("bot", "models:/bot/1")
        assert time.monotonic() - began < 5
    serve.delete("bot")


def test_a_damaged_record_is_named_hides_no_other_and_can_be_deleted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("bad", "good"):
        recorded(name)
    with closing(database.connect()) as connection:
        connection.execute("update deployments set config = '{' where name = 'bad'")
    assert [record.config.name for record in state.records()] == ["good"]
    assert "deployment bad: its record" in capsys.readouterr().err
    with pytest.raises(ServeError, match=r"damaged(.|\n)*deployments delete -t llmops --name bad"):
        state.get_record("bad")
    with pytest.raises(ServeError, match="damaged"):
        serve.update("bad")
    serve.delete("bad")
    assert state.find_record("bad") is None
