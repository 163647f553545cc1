"""The local engine on SmolLM2-135M with r16 adapters, beside bare transformers, in the same run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flavor_steps import make_adapters

from llmops import flavor

STEPS = Path(__file__).with_name("engine_steps.py")
ROUNDS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base and eight adapters."""
    folder = tmp_path_factory.mktemp("engine-bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_HOME", str(folder / "home"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.chdir(folder)
        cached = flavor.ensure_base("smollm2-135m-instruct").directory
    (folder / "base").symlink_to(cached)
    make_adapters(str(cached), str(folder))
    return folder


def step(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Runs a step in a new process, with all cores."""
    env = {**os.environ, "STEP_RESULT": str(folder / "result.json")}
    env.pop("OMP_NUM_THREADS", None)  # the tests' setting
    command = [sys.executable, str(STEPS), name, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads((folder / "result.json").read_text()))


def adapters(folder: Path, n: int) -> str:
    return ",".join(str(folder / f"a{i}") for i in range(n))


@pytest.mark.timeout(3600)
def test_tokens_per_second_are_those_of_transformers(folder: Path) -> None:
    found = step(folder, "throughput", str(folder / "base"), "64", str(ROUNDS))
    seconds = {name: statistics.median(times) for name, times in found["seconds"].items()}
    best = min((name for name in seconds if name != "ours"), key=seconds.__getitem__)
    ratios = [
        theirs / ours
        for theirs, ours in zip(found["seconds"][best], found["seconds"]["ours"], strict=True)
    ]
    ratio = statistics.median(ratios)
    print(f"\ntokens/s of the engine: {ratio:.2f} x model.generate ({best}); bar: 0.85; {seconds}")
    assert ratio >= 0.85


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("sides", "prompts", "times"), [(2, 16, ROUNDS), (8, 64, 1)])
def test_versions_together(folder: Path, sides: int, prompts: int, times: int) -> None:
    named = adapters(folder, sides)
    found = step(folder, "versions", str(folder / "base"), named, str(prompts), str(times))
    seconds = found["seconds"]
    ratio = statistics.median(
        apart / together
        for apart, together in zip(seconds["one at a time"], seconds["together"], strict=True)
    )
    print(f"\n{sides} versions x {prompts} prompts: one at a time takes {ratio:.2f} x together")


@pytest.mark.timeout(3600)
def test_answers_do_not_depend_on_the_batch(folder: Path) -> None:
    named = f",{adapters(folder, 1)}"  # the base and a version
    found = step(folder, "invariance", str(folder / "base"), named, "64")
    print(
        f"\n{found['differing']} of {found['answers']} greedy float32 answers differ between"
        " batches of 64 and each alone; bar: 0"
    )
    assert found["differing"] == 0


def test_memory_of_eight_adapters(folder: Path) -> None:
    one, eight = (
        step(folder, "memory", str(folder / "base"), adapters(folder, n))["bytes"] for n in (1, 8)
    )
    print(f"\npeak memory with 8 adapters: {eight / one:.2f} x one; bar: 1.25")
    assert eight <= 1.25 * one
