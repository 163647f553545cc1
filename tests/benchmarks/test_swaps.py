"""Another version under load: nothing fails, no answer mixes two, and memory stays what it was.

``LLMOPS_BENCH_SWAPS`` sets the number of swaps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from load import Load, Outcome, closed_loop
from serving_stack import FAKE, LOCAL, MODEL, VLLM, Stack, deployed, move_alias, registry

from llmops import serve

pytestmark = pytest.mark.timeout(1800)
ENGINES = [FAKE, LOCAL, pytest.param(VLLM, marks=pytest.mark.vllm)]
REQUESTS, STREAMS, VERSIONS = 1000, 50, 5
SWAPS = int(os.environ.get("LLMOPS_BENCH_SWAPS", "100"))
SETTLED = 10
"""Swaps after which memory should no longer grow."""
CALLERS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with five versions; the working directory of everything here."""
    folder = tmp_path_factory.mktemp("swap-bench")
    with registry(folder, VERSIONS):
        yield folder


@contextmanager
def in_background(work: Callable[[], Load]) -> Iterator[Future[Load]]:
    """A load in a thread; it is over at the end of the block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_alias_moves_under_load(folder: Path, engine: str) -> None:
    move_alias(1)
    with deployed(folder, engine, "--rate", "50", max_tokens=8, queue=256) as stack:
        found = moved(stack)
    whole, streams, moves = found
    first = min((one.end + whole.began for one in answered(whole, 2)), default=float("inf"))
    late = [o for o in whole.good if o.due + whole.began > moves + 2 and o.version != f"{MODEL}@v2"]
    print(
        f"\n{engine}: {len(whole.outcomes)} requests, {len(streams.outcomes)} streams while the alias"
        f" moves: failed {dict(whole.errors + streams.errors)} (bar 0); versions"
        f" {dict(whole.versions + streams.versions)}; the new one answers after {first - moves:.2f} s"
        f" (bar 2)"
    )
    assert not whole.errors + streams.errors
    assert len(whole.good) >= REQUESTS
    assert len(streams.good) == STREAMS
    assert set(whole.versions) == {f"{MODEL}@v1", f"{MODEL}@v2"}
    assert first - moves <= 2
    assert not late


def moved(stack: Stack) -> tuple[Load, Load, float]:
    """Load of requests and of streams, and when the alias moved in the middle of both."""
    count, moves = 0, float("inf")

    def counted(_: Outcome) -> float:
        nonlocal count
        count += 1
        return 0.0

    def over() -> bool:
        return count >= REQUESTS and time.perf_counter() > moves + 4

    requests, long = stack.target(), stack.target(max_tokens=128)
    with (
        in_background(lambda: closed_loop(requests, CALLERS, until=over, pause=counted)) as whole,
        in_background(lambda: closed_loop(long, STREAMS, requests=STREAMS, stream=True)) as streams,
    ):
        time.sleep(1.0)
        move_alias(2)
        moves = time.perf_counter()
        return whole.result(), streams.result(), moves


def answered(load: Load, version: int) -> list[Outcome]:
    """Requests that a version answered."""
    return [one for one in load.good if one.version == f"{MODEL}@v{version}"]


@pytest.mark.parametrize("engine", ENGINES)
def test_swaps_between_five_versions(folder: Path, engine: str) -> None:
    memory: dict[int, dict[str, int]] = {}
    over = False
    with deployed(folder, engine, max_tokens=8, queue=256, traces=False, follow=False) as stack:
        target = stack.target()
        with in_background(
            lambda: closed_loop(target, CALLERS, until=lambda: over, stream=True)
        ) as load:
            try:
                seconds = []
                for swap in range(1, SWAPS + 1):
                    began = time.perf_counter()
                    serve.update(stack.deployment.name, f"models:/{MODEL}/{swap % VERSIONS + 1}")
                    seconds.append(time.perf_counter() - began)
                    if swap in (SETTLED, SWAPS):
                        memory[swap] = stack.memory()
            finally:
                over = True
    found = load.result()
    growth = {of: memory[SWAPS][of] / memory[SETTLED][of] for of in memory[SWAPS]}
    print(
        f"\n{engine}: {SWAPS} swaps under load, {max(seconds):.2f} s at most: {found}"
        f"\nversions {dict(found.versions)}; memory after the last to that after swap {SETTLED}:"
        f" gateway {growth['gateway']:.3f}, engine {growth['engine']:.3f} (bar 1.1)"
    )
    assert not found.errors
    assert set(found.versions) == {f"{MODEL}@v{n}" for n in range(1, VERSIONS + 1)}
    assert max(growth.values()) <= 1.1
