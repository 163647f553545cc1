"""Another version under load: nothing fails, no answer mixes two, and memory stays what it was.

``LLMOPS_BENCH_SWAPS`` sets the number of swaps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import closed_loop
from serving_loads import in_background, move_under_load
from serving_stack import FAKE, LOCAL, MODEL, VLLM, deployed, move_alias, registry

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


@pytest.mark.parametrize("engine", ENGINES)
def test_the_alias_moves_under_load(folder: Path, engine: str) -> None:
    move_alias(1)
    with deployed(folder, engine, "--rate", "50", max_tokens=8, queue=256) as stack:
        moved = move_under_load(stack, requests=REQUESTS, callers=CALLERS, streams=STREAMS)
    moved.check(REQUESTS, STREAMS)
    assert moved.seconds <= 2


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
