"""What counts as hung; `test_supervise` has an engine that is stopped."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from llmops.serve.gateway.versions import pulse
from llmops.serve.gateway.versions.pulse import Pulse


class Silent:
    """Connections to an engine that answers as often as it is said."""

    def __init__(self, *heard: bool) -> None:
        self.heard, self.asked = list(heard), 0

    async def is_heard(self, engine: object, seconds: float) -> bool:
        self.asked += 1
        return self.heard.pop(0) if self.heard else False


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(pulse.time, "monotonic", lambda: clock.seconds)
    return clock


def look(one: Pulse) -> str | None:
    return asyncio.run(one.problem())


def make(upstream: Any, awaited: list[bool]) -> Pulse:
    engine: Any = object()
    return Pulse(engine, upstream, lambda _: awaited[0])


def test_only_an_engine_that_requests_wait_for_is_asked(now: SimpleNamespace) -> None:
    upstream, awaited = Silent(), [False]
    one = make(upstream, awaited)
    assert look(one) is None
    assert upstream.asked == 0
    awaited[0] = True
    assert look(one) is None
    assert upstream.asked == 1


def test_an_engine_that_answers_is_asked_seldom(now: SimpleNamespace) -> None:
    upstream = Silent(True, True)
    one = make(upstream, [True])
    for _ in range(11):
        assert look(one) is None
        now.seconds += 0.5
    assert upstream.asked == 2


def test_silence_counts_from_the_first_question_without_an_answer(now: SimpleNamespace) -> None:
    upstream, awaited = Silent(False, True, False), [True]
    one = make(upstream, awaited)
    look(one)
    now.seconds += 19
    assert look(one) is None, "it answered"
    now.seconds += 6
    assert look(one) is None
    now.seconds += 19
    assert look(one) is None
    now.seconds += 2
    assert look(one) == "it runs, but has not answered for 21 s"
    awaited[0] = False
    assert look(one) is None
