"""Statistics and report of 10,000 prompts with four metrics: seconds, memory, size of the page."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmops.compare.results import with_trajectories
from llmops.compare.slices import slice_results
from llmops.compare.stopping import CandidateResult, Plan, ask_until_decided
from llmops.recipe.schema import Requirement
from llmops.records import Answer, Comparison, Example, RemoteModel, Row, Suite
from llmops.report import html_report
from llmops.stats.result import Method

PROMPTS, CLUSTER = 10_000, 2
METRICS = ("token_f1", "rouge_l", "one_line", "likelihood")
BAR_SECONDS, MOST_BYTES, MOST_MEMORY = 20, 2_000_000, 1.5 * 2**30
TEXT = "Return the last access time of a file & <its> owner, if it has one. " * 20


def scores(rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Of both sides: three metrics between 0 and 1, one that is 0 or 1."""
    old = {name: round(float(rng.beta(2, 2)), 4) for name in METRICS}
    new = {
        name: round(float(np.clip(score + rng.normal(0.01, 0.15), 0, 1)), 4)
        for name, score in old.items()
    }
    whole = {side: {"one_line": float(rng.random() < 0.9)} for side in ("old", "new")}
    return old | whole["old"], new | whole["new"]


def made(prompts: int) -> tuple[Suite, list[Row]]:
    rng = np.random.default_rng(1)
    rows = []
    for i in range(prompts):
        example = Example(
            f"q{i}",
            ({"role": "user", "content": f"{i}: {TEXT}"},),
            TEXT,
            f"module{i // CLUSTER}",
            {"topic": f"topic {i % 25}", "language": f"language {i % 7}"},
        )
        sides = [
            Answer(TEXT[int(rng.integers(9)) :], int(rng.integers(9, 64)), 40, "stop", seconds=0.4)
            for _ in range(2)
        ]
        rows.append(Row(example, *sides, *scores(rng)))
    return Suite("large", None, "ef" * 32, tuple(row.example for row in rows)), rows


def looked(suite: Suite, rows: Sequence[Row], method: Method) -> CandidateResult:
    """The statistics of all rows; the true difference is the margin, so no look decides soon."""
    questions = (Requirement(metric="token_f1", must="improve", margin=0.01),)
    plan = Plan(method, 32, 0.95, questions, min_prompts=len(rows))
    (found,) = ask_until_decided(
        lambda indices: [[rows[i] for i in indices]], suite.examples, METRICS, plan
    )
    return found


def report(suite: Suite, found: CandidateResult, method: Method) -> tuple[dict[str, float], int]:
    """Seconds of each part, and bytes of the page."""
    side = [RemoteModel(name, f"openai:http://x#{name}", name * 8) for name in ("old", "new")]
    comparison = Comparison(
        *(*side, suite.name, suite.digest, found.metrics, found.rows, method, len(found.rows)),
        *(None, (), 1.0, "0" * 32, "1", ("a", "b")),
    )
    begun = time.perf_counter()
    slices = slice_results(comparison.rows, METRICS[0])
    sliced = time.perf_counter()
    comparison = with_trajectories(comparison, METRICS[0])
    narrowed = time.perf_counter()
    page = html_report(replace(comparison, slices=(*slices.tested, *slices.too_small)))
    whole = time.perf_counter()
    seconds = {
        "slices": sliced - begun,
        "interval against n": narrowed - sliced,
        "report": whole - narrowed,
    }
    return seconds, len(page.encode())


def main(method: Method) -> None:
    """Prints what one method takes, as JSON."""
    suite, rows = made(PROMPTS)
    begun = time.perf_counter()
    found = looked(suite, rows, method)
    statistics = time.perf_counter() - begun
    parts, size = report(suite, found, method)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = {"statistics": statistics, **parts}
    told = {"prompts": len(found.rows), "seconds": seconds, "memory": memory, "bytes": size}
    print(json.dumps(told))


@pytest.mark.parametrize("method", ["fixed", "hybrid"])
def test_ten_thousand_prompts(method: str) -> None:
    command = [sys.executable, str(Path(__file__)), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in told["seconds"].items())
    total = sum(told["seconds"].values())
    print(
        f"\n{method}, {told['prompts']:,} prompts: {total:.1f} s (bar: {BAR_SECONDS}; {parts}),"
        f" peak {told['memory'] / 2**20:,.0f} MiB, {told['bytes']:,} bytes"
    )
    assert told["prompts"] == PROMPTS
    assert told["bytes"] <= MOST_BYTES
    assert told["memory"] <= MOST_MEMORY


if __name__ == "__main__":
    main(sys.argv[1])  # type: ignore[arg-type]
