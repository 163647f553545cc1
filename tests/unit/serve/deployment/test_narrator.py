from __future__ import annotations

import pytest

from llmops.serve.deployment import narrator, state
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.narrator import Narrator


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrator, "LOOK_SECONDS", 0.0)
    state.create(Config(name="bot", uri="u", follow=False, host="h", port=1), "http://h:1")
    state.claim("bot")


def test_what_changes_is_printed_once(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    told = Narrator("bot")
    for phase in ("fetching models:/bot/7", "fetching models:/bot/7", "probing bot@v7", ""):
        state.report("bot", phase=phase)
        told.look()
    assert capsys.readouterr().err == "bot: fetching models:/bot/7\nbot: probing bot@v7\n"


def test_what_takes_long_is_repeated(
    quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(narrator, "REPEAT_SECONDS", 0.0)
    told = Narrator("bot", "updating")
    told.look()
    state.report("bot", phase="probing bot@v7")
    told.look()
    told.look()
    assert capsys.readouterr().err.splitlines() == [
        "bot: still updating (0 s)",
        "bot: probing bot@v7",
        "bot: still probing bot@v7 (0 s)",
    ]


def test_a_deployment_that_is_deleted_meanwhile(
    quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    state.forget("bot")
    Narrator("bot").look()
    assert capsys.readouterr().err == ""
