"""How long `llmops gate` takes where every answer is cached: 500 prompts, the whole process.

The tiny model costs nothing, so what is measured is everything around the answers.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from trained import another_adapter, log_trained, recipe_file

from llmops.records import ModelVersion

PROMPTS, SECONDS, RUNS = 500, 5.0, 3


class Cost(NamedTuple):
    """Wall and CPU seconds of a process; on a quiet machine they are nearly the same."""

    wall: float
    cpu: float


def cost(*options: str) -> Cost:
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "llmops", "gate", "bot.yaml", "--suite", "suite.jsonl", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - begun, spent)


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    recipe_file(tmp_path)
    rows = [
        {"id": f"q{i}", "prompt": f"Split a pathname {i}.", "expected": f"Return {i}."}
        for i in range(PROMPTS)
    ]
    (tmp_path / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return log_trained(another_adapter(tiny_model, tmp_path))


def median(*options: str) -> Cost:
    return sorted(cost(*options) for _ in range(RUNS))[RUNS // 2]


@pytest.mark.timeout(900)
def test_a_gate_whose_answers_are_cached_takes_seconds(candidate: ModelVersion) -> None:
    asked = cost()
    decided, cached = median(), median("--fresh")
    traced = cost("--fresh", "compare.traces=true")
    print()
    for what, found in (
        (f"{PROMPTS} prompts, answers generated", asked),
        ("the same question, decided before", decided),
        ("asked afresh, all answers cached", cached),
        ("the same with 1,000 traces", traced),
    ):
        print(f"{what:<36} {found.wall:6.1f} s, of which {found.cpu:5.1f} s of the CPU")
    assert decided.cpu < SECONDS
    assert cached.cpu < SECONDS
