"""How a gateway is started; `test_process` starts whole deployments."""

from __future__ import annotations

import os
from contextlib import closing

import psutil
import pytest
from processes import started

from llmops.errors import ServeError
from llmops.serve.deployment import address, launch, state
from llmops.serve.deployment.config import Config


def settings(port: int) -> Config:
    return Config(name="bot", uri="models:/bot/1", follow=False, host="127.0.0.1", port=port)


def test_a_gateway_inherits_the_socket_and_not_the_key(
    gateway: None, store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMOPS_API_KEY", "test-key-4711")
    log = state.folder("bot") / "gateway.log"
    log.parent.mkdir()
    log.write_text("why the one before ended")
    listening = address.listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    record = launch.start(settings(port), listening, address.endpoint(listening))
    process = psutil.Process(record.gateway.pid)
    try:
        assert (record.status.model, record.endpoint) == ("bot@v1", f"http://127.0.0.1:{port}")
        environment = process.environ()
        assert environment["MLFLOW_TRACKING_URI"] == store
        assert environment["HF_HUB_OFFLINE"] == "1"
        assert "LLMOPS_API_KEY" not in environment
        assert os.getsid(process.pid) == process.pid, "Ctrl-C does not reach it"
        assert listening.fileno() == -1
        assert log.with_name("gateway.log.1").read_text() == "why the one before ended"
        assert "before" not in log.read_text()
        launch.announce(record)
    finally:
        process.terminate()
        process.wait()
    assert "bot: bot@v1 answers at http://127.0.0.1" in (said := capsys.readouterr().err)
    assert "engine local; served without proof" in said


def test_one_that_is_not_ready_in_time_is_killed_with_what_it_started(
    gateway: None, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN", "slow")
    monkeypatch.setattr(launch, "START_SECONDS", 8.0)
    with (
        closing(address.listen("127.0.0.1", 0)) as listening,
        pytest.raises(ServeError, match="deployment bot: not ready after 8 s"),
    ):
        launch.start(settings(1), listening, address.endpoint(listening))
    record = state.get_record("bot")
    assert len(record.status.processes) == 1
    assert record.status.processes[0].alive() is None
    assert started(recursive=True) == []
