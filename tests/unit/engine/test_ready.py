from __future__ import annotations

import itertools

import pytest

from llmops.engine import ready


def test_it_waits_until_the_process_is_ready() -> None:
    looks = itertools.count()
    took = ready.wait(
        lambda: next(looks) == 3, lambda: None, ValueError, name="x", seconds=9, pause=0.01
    )
    assert 0.03 <= took < 5


def test_a_process_that_has_ended_is_an_error_at_once() -> None:
    def ended() -> None:
        raise KeyError("ended")

    with pytest.raises(KeyError):
        ready.wait(lambda: False, ended, ValueError, name="x", seconds=60, pause=1)


def test_a_process_that_takes_too_long_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ready, "SAY_EVERY_SECONDS", 0.05)
    with pytest.raises(ValueError, match="not ready after 0 s"):
        ready.wait(lambda: False, lambda: None, ValueError, name="vLLM", seconds=0.3, pause=0.01)
    assert "vLLM: still starting (0 s)" in capsys.readouterr().err
