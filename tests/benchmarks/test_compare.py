"""`llmops compare` beside `mlflow.genai.evaluate` and lm-eval, whole processes, in the same run.

lm-eval lies in an environment of its own: LLMOPS_BENCH_LM_EVAL names its `lm_eval` command.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from flavor_steps import PROMPTS, make_adapters
from safetensors.numpy import load_file, save_file

from llmops import flavor

PEERS = Path(__file__).with_name("compare_peers.py")
LM_EVAL = "LLMOPS_BENCH_LM_EVAL"
TOKENS = 32


class Bench:
    """A store with eight versions, a ninth that is the eighth trained on, and suites."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "LLMOPS_HOME": str(folder / "home"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        }
        self.env.pop("OMP_NUM_THREADS", None)  # the tests' setting; here all cores count
        self.base = Path()

    def suite(self, prompts: int) -> Path:
        path = self.folder / f"suite{prompts}.jsonl"
        rows = [
            {"id": f"q{i}", "prompt": f"{PROMPTS[i % 32]} # {i}", "expected": f"Return {i}."}
            for i in range(prompts)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def seconds(self, *command: str) -> float:
        """Wall time of a process from start to end."""
        begun = time.monotonic()
        done = subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return time.monotonic() - begun

    def ours(self, suite: Path, *versions: str, keep: bool = False) -> float:
        """All versions in one `llmops compare`; answers of before count only with ``keep``."""
        return self.seconds(
            *(sys.executable, "-m", "llmops", "compare", *versions, "--suite", str(suite)),
            *("--method", "fixed", "--max-tokens", str(TOKENS), "--scorer", "exact"),
            *(() if keep else ("--no-cache",)),
        )

    def genai(self, suite: Path, versions: range) -> float:
        """A process for each version."""
        return sum(
            self.seconds(sys.executable, str(PEERS), "genai", f"models:/bot/{v}", str(suite))
            for v in versions
        )

    def lm_eval(self, suite: Path, versions: range) -> float:
        """A run for each version, at batch 16."""
        command = os.environ.get(LM_EVAL)
        if not command:
            pytest.skip(f"{LM_EVAL} names no lm_eval command")
        self.seconds(sys.executable, str(PEERS), "task", str(suite), str(self.folder))
        return sum(
            self.seconds(
                *(command, "--model", "hf", "--tasks", "suite", "--batch_size", "16"),
                *("--include_path", str(self.folder), "--apply_chat_template"),
                *("--device", "cpu", "--model_args"),
                f"pretrained={self.base},peft={self.folder / f'a{v - 1}'},dtype=float32",
            )
            for v in versions
        )


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("compare-bench")
    found = Bench(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMOPS_HOME", found.env["LLMOPS_HOME"])
        patch.setenv("MLFLOW_TRACKING_URI", found.env["MLFLOW_TRACKING_URI"])
        patch.chdir(folder)
        base = flavor.ensure_base("smollm2-135m-instruct")
        found.base = base.directory
        make_adapters(str(base.directory), str(folder))
        trained_on(folder / "a7", folder / "a8")
        with mlflow.start_run():
            for i in range(9):
                flavor.log_model(folder / f"a{i}", base=base, registered_model_name="bot")
    return found


def trained_on(adapter: Path, directory: Path) -> None:
    """A copy of an adapter with other weights."""
    shutil.copytree(adapter, directory)
    weights = directory / "adapter_model.safetensors"
    save_file({name: 1.1 * tensor for name, tensor in load_file(weights).items()}, weights)


def version(i: int) -> str:
    return f"models:/bot/{i}"


@pytest.mark.timeout(3600)
def test_two_versions(bench: Bench) -> None:
    suite = bench.suite(16)
    times, peers = [bench.ours(suite, version(1), version(2))], []
    for peer in (bench.genai, bench.lm_eval):
        peers.append(peer(suite, range(1, 3)))
        times.append(bench.ours(suite, version(1), version(2)))
    # The machine's pace changes: a peer is held against our runs before and after it.
    ratios = [
        peer / statistics.mean(ours)
        for peer, ours in zip(peers, itertools.pairwise(times), strict=True)
    ]
    print(
        f"\n2 versions x 16 prompts x {TOKENS} tokens: llmops"
        f" {', '.join(f'{t:.1f}' for t in times)} s;"
        f" mlflow.genai.evaluate {peers[0]:.1f} s, {ratios[0]:.2f} x (bar 6);"
        f" lm-eval {peers[1]:.1f} s, {ratios[1]:.2f} x (bar 2.5)"
    )


@pytest.mark.timeout(7200)
def test_eight_versions_and_again_after_one_changed(bench: Bench) -> None:
    suite = bench.suite(64)
    first = bench.ours(suite, *map(version, range(1, 9)), keep=True)
    lm_eval = bench.lm_eval(suite, range(1, 9))
    again = bench.ours(suite, *map(version, [*range(1, 8), 9]), keep=True)  # 9 in place of 8
    print(
        f"\n8 versions x 64 prompts x {TOKENS} tokens: llmops {first:.1f} s;"
        f" lm-eval {lm_eval:.1f} s, {lm_eval / first:.2f} x (bar 2.5);"
        f" again after one changed {again:.1f} s, {lm_eval / again:.2f} x (bar 10)"
    )
