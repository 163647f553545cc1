from __future__ import annotations

import threading
import time

import psutil
import pytest
from standin import eventually

from llmops import serve
from llmops.errors import NotFoundError, ServeError, UsageError
from llmops.records import Deployment
from llmops.serve.deployment import control, state
from llmops.store import connection


def test_another_version_and_then_the_same(
    deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    updated = serve.update("bot", "models:/bot/2")
    assert (updated.model, updated.source, updated.follow) == ("bot@v2", "models:/bot/2", False)
    assert updated.pid == deployed.pid
    said = capsys.readouterr().err
    assert "bot: serves bot@v2 (before: bot@v1)" in said
    assert "; served without proof" in said
    assert serve.update("bot", "models:/bot/2") == updated
    assert "bot: serves bot@v2 already; nothing was changed" in capsys.readouterr().err
    assert serve.restart("bot").model == "bot@v2"


def test_without_a_uri_the_alias_is_looked_up_now(deployed: Deployment) -> None:
    connection.client().set_registered_model_alias("bot", "champion", "2")
    updated = serve.update("bot")
    assert (updated.model, updated.source, updated.follow) == (
        "bot@v2",
        "models:/bot@champion",
        True,
    )
    pinned = serve.update("bot", follow=False)
    assert (pinned.model, pinned.source, pinned.follow) == ("bot@v2", "models:/bot/2", False)
    connection.client().set_registered_model_alias("bot", "champion", "1")
    assert serve.update("bot").model == "bot@v2", "a pinned version stays"
    with pytest.raises(UsageError, match="only an alias can be followed"):
        serve.update("bot", follow=True)
    again = serve.update("bot", "models:/bot@champion")
    assert (again.model, again.follow) == ("bot@v1", True)
    latest = serve.update("bot", "models:/bot/latest")
    assert (latest.model, latest.source, latest.follow) == ("bot@v2", "models:/bot/2", False)


def test_what_cannot_be_served_leaves_the_old_version(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("STANDIN", "probe")
    deployed = request.getfixturevalue("deployed")
    for uri, error, says in (
        ("models:/bot/99", NotFoundError, "bot"),
        ("models:/bot@nobody", NotFoundError, "nobody"),
        ("runs:/x/y", UsageError, "models:/NAME/VERSION"),
        ("models:/bot/2", ServeError, r"refused by the probe(.|\n)*bot@v1 goes on"),
    ):
        with pytest.raises(error, match=says):
            serve.update("bot", uri)
    assert serve.get("bot") == deployed


def test_of_two_updates_at_once_one_wins_and_the_other_says_so(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_SWAP", "2")
    serve.create("bot", versions, unproven="allow")
    try:
        first = threading.Thread(target=serve.update, args=("bot", "models:/bot/2"))
        first.start()
        eventually(lambda: "loading" in state.get_record("bot").status.phase)
        with pytest.raises(ServeError, match="another command is starting, updating"):
            serve.update("bot", "models:/bot/1")
        # one that does not know of the command, such as the alias that moves meanwhile
        with pytest.raises(ServeError, match=r"another swap is going on(.|\n)*bot@v1 goes on"):
            control.update(state.get_record("bot"), "models:/bot/1", follow=False)
        first.join()
        assert serve.get("bot").model == "bot@v2"
    finally:
        serve.delete("bot")


def test_a_stopped_deployment_and_none(deployed: Deployment) -> None:
    psutil.Process(deployed.pid).kill()
    eventually(lambda: serve.status(deployed) == "stopped")
    with pytest.raises(ServeError, match=r"is stopped(.|\n)*llmops serve restart bot"):
        serve.update("bot", "models:/bot/2")
    with pytest.raises(NotFoundError, match="deployment other: does not exist"):
        serve.update("other", "models:/bot/2")


def test_a_gateway_that_is_killed_meanwhile_is_said_at_once(
    gateway: None, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_SWAP", "60")
    deployment = serve.create("bot", versions, unproven="allow")

    def kill() -> None:
        eventually(lambda: "loading" in state.get_record("bot").status.phase)
        psutil.Process(deployment.pid).kill()

    threading.Thread(target=kill).start()
    began = time.monotonic()
    try:
        with pytest.raises(ServeError, match="its gateway does not answer"):
            serve.update("bot", "models:/bot/2")
        assert time.monotonic() - began < 30
    finally:
        serve.delete("bot")
