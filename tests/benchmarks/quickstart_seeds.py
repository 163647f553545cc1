"""The figures behind ``recipes/quickstart/expected.json``: the recipe on several seeds.

A seed decides the split as well as the training, so the spread is that of the whole experiment.

    python tests/benchmarks/quickstart_seeds.py            # seeds 7 8 9, about 20 minutes on 2 cores
    python tests/benchmarks/quickstart_seeds.py --write    # and pin what was measured
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from llmops.recipe.load import load_recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "quickstart"
SEEDS = (7, 8, 9)
COLUMNS = ("nll_base", "nll_tuned", "f1_base", "f1_tuned", "one_line", "minutes", "train_s", "gib")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--write", action="store_true", help="write expected.json")
    arguments = parser.parse_args()
    print("seed  " + "".join(f"{column:>11}" for column in COLUMNS), flush=True)
    measured = earlier()
    for seed in arguments.seeds:
        measured[str(seed)] = figures = run(seed)
        print(f"{seed:<6}" + "".join(f"{figures[column]:>11.3f}" for column in COLUMNS), flush=True)
    if arguments.write:
        (RECIPE / "expected.json").write_text(json.dumps(expected(measured), indent=2) + "\n")


def earlier() -> dict[str, dict[str, float]]:
    """Figures of other seeds, if they were measured for the recipe as it is now."""
    path = RECIPE / "expected.json"
    content = json.loads(path.read_text()) if path.is_file() else {}
    return content["measured"] if content.get("figures_digest") == figures_digest() else {}


def figures_digest() -> str:
    return load_recipe(RECIPE / "recipe.yaml").figures_digest()


def run(seed: int) -> dict[str, float]:
    """One run in a store of its own; memory is that of all its processes together."""
    with tempfile.TemporaryDirectory(prefix="quickstart-") as folder:
        command = [
            sys.executable,
            "-m",
            "llmops",
            "run",
            str(RECIPE),
            f"seed={seed}",
            "--output",
            "json",
        ]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        begun = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        peak = Peak(process.pid)
        output, _ = process.communicate()
        minutes = (time.monotonic() - begun) / 60
        if process.returncode not in (0, 3, 4):
            sys.exit(f"seed {seed}: exit code {process.returncode}")
        return {**figures(json.loads(output)), "minutes": minutes, "gib": peak.stop() / 2**30}


def figures(record: dict) -> dict[str, float]:
    comparison = record["comparison"]
    metrics = {metric["metric"]: metric for metric in comparison["metrics"]}
    return {
        "nll_base": comparison["nll_per_token"]["baseline"],
        "nll_tuned": comparison["nll_per_token"]["candidate"],
        "f1_base": metrics["token_f1"]["baseline"],
        "f1_tuned": metrics["token_f1"]["candidate"],
        "one_line": metrics["one_line"]["candidate"],
        "train_s": record["train_seconds"],
        "tokens": record["tokens"],
        "passed": float(comparison["decision"]["passed"]),
    }


def expected(measured: dict[str, dict[str, float]]) -> dict[str, object]:
    """Bounds that every measured seed keeps, with the observed range again as slack."""

    def ends(column: str) -> tuple[float, float, float]:
        values = [figures[column] for figures in measured.values()]
        return min(values), max(values), max(max(values) - min(values), 0.02)

    drops = [f["nll_base"] - f["nll_tuned"] for f in measured.values()]
    gains = [f["f1_tuned"] - f["f1_base"] for f in measured.values()]
    return {
        "figures_digest": figures_digest(),
        "measured": {
            seed: {column: round(value, 4) for column, value in figures.items()}
            for seed, figures in sorted(measured.items())
        },
        "tolerances": {
            "nll_tuned_at_most": round(ends("nll_tuned")[1] + ends("nll_tuned")[2], 3),
            "nll_drop_at_least": round(min(drops) - max(max(drops) - min(drops), 0.02), 3),
            "f1_tuned_at_least": round(ends("f1_tuned")[0] - ends("f1_tuned")[2], 3),
            "f1_gain_at_least": round(min(gains) - max(max(gains) - min(gains), 0.02), 3),
            "one_line_at_least": 0.9,
        },
    }


class Peak:
    """Highest resident memory of a process and its descendants, sampled twice a second."""

    def __init__(self, pid: int) -> None:
        self.highest = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=(psutil.Process(pid),), daemon=True
        )
        self._thread.start()

    def _watch(self, process: psutil.Process) -> None:
        while not self._stop.wait(0.5):
            total = 0
            try:
                for one in [process, *process.children(recursive=True)]:
                    total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self.highest = max(self.highest, total)

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.highest


if __name__ == "__main__":
    main()
