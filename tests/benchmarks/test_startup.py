"""How long a user waits for help, beside the command line it stands next to, in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
RUNS = 7


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run([str(BIN / command[0]), *command[1:]], check=True, capture_output=True)
    return time.perf_counter() - begun


def test_help_is_faster_than_that_of_mlflow() -> None:
    pairs = [(seconds("llmops", "--help"), seconds("mlflow", "--help")) for _ in range(RUNS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"\nllmops --help  {ours:.2f} s   mlflow --help  {theirs:.2f} s   ratio {ratio:.2f}")
    assert ratio < 1


def test_help_beside_an_empty_python() -> None:
    pairs = [
        (seconds("llmops", "--help"), seconds("python", "-c", "pass")) for _ in range(3 * RUNS)
    ]
    ours, empty = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"\nllmops --help  {ours:.3f} s   empty Python  {empty:.3f} s   ratio {ratio:.2f}")
    assert ratio <= 4
