"""Memory that runs out, really: in a process whose address space is limited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import sides

from llmops.engine.local.decode.memory import Budget, padded_tokens, ran_out
from llmops.errors import LlmopsError

torch = pytest.importorskip("torch")
LENGTHS = [(10, 10)] * 5 + [(30, 10)] * 3


@dataclass(frozen=True)
class Piece:
    """Something to compute."""

    number: int
    lengths: tuple[int, int]


PIECES = [Piece(i, lengths) for i, lengths in enumerate(LENGTHS)]


def computed(budget: Budget, most: int) -> list[list[int]]:
    """Batches that were computed on a machine that holds so many tokens."""
    batches: list[list[int]] = []

    def work(batch: list[Piece]) -> list[int]:
        if padded_tokens([piece.lengths for piece in batch]) > most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        batches.append([piece.number for piece in batch])
        return batches[-1]

    results = list(budget.batches(PIECES, work, rows=8, width=100))
    assert results == [number for batch in batches for number in batch]
    return batches


def test_whoever_stops_iterating_stops_the_work() -> None:
    begun: list[list[Piece]] = []

    def work(batch: list[Piece]) -> list[int]:
        begun.append(batch)
        return [piece.number for piece in batch]

    results = Budget(1_000).batches(PIECES, work, rows=2, width=100)
    assert next(results) == 0
    results.close()
    assert len(begun) == 1


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered() -> None:
    budget = Budget(1_000)
    # 8 rows padded to 40 tokens, then the last 3 of them, were too much
    assert computed(budget, most=100) == [[0, 1, 2, 3, 4], [5], [6], [7]]
    assert budget.tokens == 60
    assert computed(budget, most=1_000) == [[0, 1, 2], [3, 4], [5], [6], [7]]


def test_a_row_that_does_not_fit_alone_is_reported() -> None:
    with pytest.raises(
        LlmopsError, match=r"a prompt of 30 tokens, \d+ with its answer, does not fit"
    ) as caught:
        computed(Budget(1_000), most=30)
    assert "max_tokens" in str(caught.value)


def test_other_errors_are_not_taken_for_memory() -> None:
    def work(batch: list[Piece]) -> list[int]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(Budget(1_000).batches(PIECES, work, rows=8, width=100))


def test_what_torch_says_when_memory_runs_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert ran_out(caught.value)
    assert ran_out(MemoryError())
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory"))
    assert not ran_out(ValueError("DefaultCPUAllocator"))


LIMITED = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
torch.set_num_threads(1)
from sides import answer_all, score_all, side_of
from llmops.engine.local.engine import LocalEngine
from llmops.engine.requests import Request, Turn
from llmops.records import LoadOptions, Sampling
sides = [side_of(Path(sys.argv[2])), side_of(Path(sys.argv[2]), Path(sys.argv[3]))]
engine = LocalEngine(sides, options=LoadOptions(dtype="float32"))
engine._budget.tokens = 65_536  # more than is given: more than fits here
prompt = [{"role": "user", "content": "a path " * 90}]
asked = [Request(side, prompt, Sampling(max_tokens=4)) for side in sides for _ in range(96)]
turns = [Turn(one.side, one.messages, "a file") for one in asked[::48]]
expected = answer_all(engine, asked, batch_size=2)
scored = score_all(engine, turns)
before = after = engine._budget.tokens
for spare in (16, 8, 4, 2, 1, 0):  # MiB; how much is in reserve already differs by machine
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + spare * 2**20, -1))
    answers = answer_all(engine, asked, batch_size=192)
    after = engine._budget.tokens
    if after < before:
        break
again = answer_all(engine, asked, batch_size=192)
print(json.dumps([before, after, engine._budget.tokens, answers == expected == again]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux only")
def test_the_engine_goes_on_when_memory_runs_out(folder: Path, adapter: Path) -> None:
    command = [
        sys.executable,
        "-c",
        LIMITED,
        str(Path(sides.__file__).parent),
        str(folder),
        str(adapter),
    ]
    env = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # others would reserve memory without need
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after, later, right = json.loads(done.stdout.splitlines()[-1])
    assert right
    assert after < before, "memory did not run out"
    assert later <= after, "the size that fits was forgotten"
