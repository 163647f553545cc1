"""What the gateway costs: over an engine that answers after 50 ms, beside other gateways, overloaded.

Everybody is asked in turns, so that a busy machine is busy for all of them. ``LLMOPS_BENCH_SECONDS``
sets the seconds of each turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import peers
import pytest
from load import Load, Target, closed_loop, open_loop
from serving_loads import check_streams, in_turns
from serving_stack import FAKE, Stack, Watch, deployed, registry

pytestmark = pytest.mark.timeout(1800)
SECONDS = float(os.environ.get("LLMOPS_BENCH_SECONDS", "10"))
CALLERS = 50
PLACES, QUEUE = 32, 128
"""Requests in flight and waiting when the gateway is overloaded."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with versions; the working directory of everything here."""
    folder = tmp_path_factory.mktemp("gateway-bench")
    with registry(folder):
        yield folder


@pytest.fixture
def fake(folder: Path) -> Iterator[Stack]:
    """A deployment, traces on, whose engine answers after 50 ms, then 100 tokens per second."""
    with deployed(folder, FAKE, "--delay", "0.05", queue=512) as stack:
        yield stack


def turns(ask: Callable[[Target], Load], **targets: Target) -> dict[str, Load]:
    return in_turns(ask, warm=min(SECONDS, 3.0), **targets)


def test_added_latency_at_100_requests_per_second(fake: Stack) -> None:
    found = turns(
        lambda target: open_loop(target, 100, SECONDS),
        gateway=fake.target(),
        direct=fake.engine(),
    )
    gateway, direct = found["gateway"], found["direct"]
    p50, p99 = (1000 * (gateway.latency(p) - direct.latency(p)) for p in (50, 99))
    print(f"\nthe gateway adds p50 {p50:.1f} ms (bar 5), p99 {p99:.1f} ms (bar 25)")
    assert not gateway.errors
    assert p50 <= 5
    assert p99 <= 25


@pytest.mark.parametrize("peer", [peers.litellm, peers.mlflow_gateway], ids=lambda p: p.__name__)
def test_50_callers_beside(peer: peers.Peer, fake: Stack, folder: Path, tmp_path: Path) -> None:
    engine = fake.engine()
    upstream = engine.url.removesuffix("/v1/chat/completions")
    key = engine.headers["Authorization"].removeprefix("Bearer ")
    with peer(tmp_path, upstream, str(engine.body["model"]), key) as other:
        found = turns(
            lambda target: closed_loop(target, CALLERS, seconds=SECONDS),
            gateway=fake.target(),
            peer=replace(other, body={**other.body, "max_tokens": 16}),
            direct=engine,
        )
    ours, theirs = found["gateway"], found["peer"]
    print(
        f"\n{CALLERS} callers: {ours.rate / theirs.rate:.2f} x the requests/s of {peer.__name__}"
        f" (bar 1), {ours.latency(99) / theirs.latency(99):.2f} x its p99 (bar below 1),"
        f" {ours.rate / found['direct'].rate:.2f} x the engine asked directly"
    )
    assert not ours.errors
    assert ours.rate >= theirs.rate
    assert ours.latency(99) < theirs.latency(99)


@pytest.mark.parametrize("peer", [peers.litellm, peers.mlflow_gateway], ids=lambda p: p.__name__)
def test_peers_answer(peer: peers.Peer, folder: Path, tmp_path: Path) -> None:
    """`make peers` runs this: each peer passes a whole answer on."""
    with deployed(folder, FAKE, traces=False) as stack:
        engine = stack.engine()
        upstream = engine.url.removesuffix("/v1/chat/completions")
        key = engine.headers["Authorization"].removeprefix("Bearer ")
        with peer(tmp_path, upstream, str(engine.body["model"]), key) as other:
            load = closed_loop(other, 1, requests=2, prompt="marker=m{}".format)
    assert not load.errors
    assert "marker=m1 " in load.good[-1].text
    print(f"\n{peer.__name__}: {load}")


@pytest.mark.parametrize("callers", [1, 8, 32])
def test_streams_of_an_engine_without_a_model(folder: Path, callers: int) -> None:
    def ask(target: Target) -> Load:
        return closed_loop(target, callers, seconds=SECONDS, stream=True, spread=1.0)

    with deployed(folder, FAKE, "--rate", "50", max_tokens=128) as stack:
        check_streams(stack, callers, ask)


def test_twice_the_queue(folder: Path) -> None:
    """As many callers as have a place, then so many more that the queue would be full twice."""
    seconds = 6 * SECONDS
    with deployed(folder, FAKE, "--delay", "0.2", concurrency=PLACES, queue=QUEUE) as stack:
        target = stack.target()
        closed_loop(target, PLACES, seconds=2)
        calm = closed_loop(target, PLACES + QUEUE, seconds=seconds / 3)
        with Watch(stack) as watch:
            load = closed_loop(
                target,
                PLACES + 2 * QUEUE,
                seconds=seconds,
                pause=lambda outcome: 0.5 if outcome.error else 0.0,
            )
    begin = watch.bytes[: max(1, len(watch.bytes) // 6)]
    growth = max(watch.bytes) / max(begin)
    ratio = load.latency(99) / calm.latency(99)
    refused = sum(load.errors[status] for status in ("503", "429"))
    print(
        f"\n{PLACES + QUEUE} callers: {calm}\n{PLACES + 2 * QUEUE} callers for {seconds:.0f} s: {load}"
        f"\nrefused {refused / len(load.outcomes):.0%}; p99 of the answered {ratio:.2f} x (bar 2);"
        f" memory {max(watch.bytes) / 1e6:.0f} MB, {growth:.2f} x that of the first sixth (bar 1.1)"
    )
    assert not calm.errors
    assert set(load.errors) <= {"503", "429"}
    assert refused
    assert ratio <= 2
    assert growth <= 1.1
