"""What the benchmarks of serving rest on: the load sees whatever an engine does wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import fake_engine
import pytest
from load import Load, Outcome, Target, closed_loop, open_loop, percentile
from servers import environment, free_port, running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, fake_engine.__file__, "--port", str(port), "--delay", "0.02"]
    with running(command, tmp_path_factory.mktemp("engine"), f"{url}/health", environment()):
        yield Target(f"{url}/v1/chat/completions", {"model": "base", "max_tokens": 64})


@pytest.mark.parametrize("stream", [False, True])
def test_whole_answers_are_counted(engine: Target, stream: bool) -> None:
    load = closed_loop(engine, 4, requests=12, prompt="marker=m{}".format, stream=stream)
    assert not load.errors
    assert [one.tokens for one in load.good] == [64] * 12
    assert sum("marker=m7 " in one.text for one in load.good) == 1
    assert 0.02 <= load.latency(50) < 1
    if stream:
        assert 0.02 <= load.first(50) <= load.latency(50)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        *(("cut", "ClientPayloadError"), ("ended", "cut"), ("malformed", "not JSON")),
        *(("event", "error event"), ("500", "500"), ("reset", "ClientOSError")),
    ],
)
def test_every_fault_of_a_stream_is_seen(engine: Target, fault: str, kind: str) -> None:
    load = closed_loop(engine, 1, requests=1, prompt=lambda _: f"fault={fault}", stream=True)
    assert load.errors == {kind: 1}


def test_events_in_pieces_are_no_fault(engine: Target) -> None:
    load = closed_loop(engine, 1, requests=2, prompt=lambda _: "fault=split", stream=True)
    assert not load.errors


def test_what_no_answer_may_be(engine: Target) -> None:
    named = Target(engine.url, engine.body, named=True)
    assert closed_loop(named, 1, requests=1).errors == {"no version": 1}
    foreign = Target(engine.url, {**engine.body, "user": "marker=foreign"})
    assert closed_loop(foreign, 1, requests=1).errors == {"another request's text": 1}


def test_requests_are_due_at_a_fixed_rate(engine: Target) -> None:
    load = open_loop(engine, 10, 1.0, lambda i: "delay=0.5" if i < 5 else "")
    assert [one.due for one in load.outcomes] == [i / 10 for i in range(10)]
    assert [one.latency > 0.5 for one in load.outcomes] == [True] * 5 + [False] * 5


def test_percentiles() -> None:
    assert [percentile(range(1, 101), p) for p in (50, 99, 100)] == [50, 99, 100]
    assert percentile([3.0], 50) == 3.0
    outcomes = [Outcome(0.0, 0.0, end=1.0), Outcome(0.0, 0.5, end=2.0, error="503")]
    load = Load(outcomes, 2.0, 0.0)
    assert (load.rate, load.latency(99), load.errors) == (0.5, 1.0, {"503": 1})
