"""`spend` beside `fixed` on two real versions, one of which was hardly trained.

Both were trained on Python's own library; they are asked about functions of other packages.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from llmops.data.sources.stdlib import functions_of

PACKAGES = ("numpy", "pandas", "scipy", "torch", "transformers")
PROMPTS = 400
OF_A_MODULE = 1
"""Functions of one module, which is a cluster."""
STEPS = {"models:/quickstart/1": 2, "models:/quickstart/2": 40}


def held_out(folder: Path) -> Path:
    """400 functions of installed packages, the packages in turn."""
    root = Path(sysconfig.get_paths()["purelib"])
    streams = [_functions(root, package) for package in PACKAGES]
    rows = [row for turn in itertools.zip_longest(*streams) for row in turn if row]
    path = folder / "packages.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:PROMPTS]), encoding="utf-8")
    assert len(rows) >= PROMPTS
    return path


def _functions(root: Path, package: str) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path in sorted((root / package).rglob("*.py")):
        if not {"tests", "testing", "models"} & set(path.parts):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            for row in itertools.islice(functions_of(module, path), OF_A_MODULE):
                found.setdefault(row["prompt"], row)
    return list(found.values())


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store with both versions."""
    folder = tmp_path_factory.mktemp("early-stop")
    env = {
        **os.environ,
        "LLMOPS_HOME": str(folder / "home"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "HF_HUB_OFFLINE": "1",
        "PWD": str(folder),
    }
    env.pop("OMP_NUM_THREADS", None)  # the tests' setting; here all cores count
    for steps in STEPS.values():
        llmops(env, "train", "quickstart", f"train.max_steps={steps}")
    return env


def llmops(env: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "llmops", *arguments, "--output", "json"],
        env=env,
        cwd=env["PWD"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


@pytest.mark.timeout(3600)
def test_clearly_different_versions_need_half_of_the_prompts_or_fewer(env: dict[str, str]) -> None:
    suite = held_out(Path(env["PWD"]))
    found = {
        method: llmops(
            *(env, "compare", *STEPS, "--suite", str(suite), "--method", method, "--no-traces"),
            *("--max-tokens", "48", "--no-cache", "--scorer", "token_f1"),
        )
        for method in ("spend", "fixed")
    }
    for method, record in found.items():
        first = record["metrics"][0]
        print(
            f"\n{method}: {record['suite']['prompts']} of {record['suite']['available']} prompts,"
            f" {first['result']}, {first['difference']:+.3f}"
            f" [{first['low']:+.3f}, {first['high']:+.3f}], {record['seconds']:.0f} s",
            end="",
        )
    asked, verdict = (
        {method: get(record) for method, record in found.items()}
        for get in (lambda r: r["suite"]["prompts"], lambda r: r["metrics"][0]["result"])
    )
    print(f"\nprompts: {asked['spend'] / asked['fixed']:.0%} (bar 50%)")
    # What resembles the training data is set aside.
    assert asked["fixed"] == found["fixed"]["suite"]["available"] > 0.95 * PROMPTS
    assert asked["spend"] <= asked["fixed"] / 2
    assert verdict["spend"] == verdict["fixed"]
