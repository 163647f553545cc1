"""`kill -9` in a comparison: the next call goes on, and comes to the same result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from versions import log_version

from llmops import flavor

PROMPTS = 120
ASKING = """
import sys
from llmops.cli.main import main
from llmops.compare.answers.engines import Engines

log = sys.argv.pop(1)

def noting(compute):
    def noted(self, items):
        for key, result in compute(self, items):
            yield key, result  # goes on after the result is in the cache
            with open(log, "a") as file:
                file.write(f"{key}\\n")
    return noted

Engines.answer, Engines.likelihood = noting(Engines.answer), noting(Engines.likelihood)
main()
"""


def command(log: Path, suite: Path) -> list[str]:
    asked = ["compare", "tiny", "models:/bot/1", "--suite", str(suite), "--output", "json"]
    options = ["--max-tokens", "12", "--confidence", "0.999", "--no-traces"]
    return [sys.executable, "-c", ASKING, str(log), *asked, *options]


def result(text: str) -> dict[str, Any]:
    """What a comparison says, without what names its run and time."""
    found = json.loads(text)
    return {name: found[name] for name in found if name not in NAMES}


NAMES = ("run", "run_id", "child_run_ids", "when", "seconds")


@pytest.mark.parametrize("kept", [1, 130])
def test_what_was_answered_is_not_asked_again(
    store: str, tiny_model: Path, tiny_adapter: Path, tmp_path: Path, kept: int
) -> None:
    base = flavor.add_base(tiny_model, "tiny")
    with mlflow.start_run():
        log_version(tiny_adapter, base, "bot")
    suite = tmp_path / "suite.jsonl"
    rows = [{"id": f"q{i}", "prompt": f"Split {i}.", "expected": f"{i}"} for i in range(PROMPTS)]
    suite.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    log = tmp_path / "keys"
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command(log, suite), stdout=said, stderr=said)
    while not log.is_file() or len(log.read_text().split()) < kept:
        assert process.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = log.read_text().split()
    done = subprocess.run(command(log, suite), capture_output=True, text=True, check=True)
    keys = log.read_text().split()
    assert len(before) < len(keys) == len(set(keys)), "each answer and likelihood once"
    alone = {**os.environ, "LLMOPS_HOME": str(tmp_path / "elsewhere")}
    whole = subprocess.run(
        command(tmp_path / "others", suite), env=alone, capture_output=True, text=True, check=True
    )
    assert json.dumps(result(done.stdout)) == json.dumps(result(whole.stdout))
