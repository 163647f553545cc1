"""Traces per second from the gateway's queue to MLflow, and what the event loop notices of it.

    python tests/benchmarks/trace_export.py [--rate 100] [--seconds 30] [--uri sqlite:///traces.db]

An event loop queues answers at a fixed rate (open loop) while it measures its own delay; then as many
as fit are queued at once, and the time until MLflow has them is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from exchanges import config, exchange

from llmops.serve.traces.recorder import Recorder

BURST = 2_000


async def steady(recorder: Recorder, rate: float, seconds: float) -> list[float]:
    """Queue answers at a rate; return by how many milliseconds the loop was late each time."""
    late, began = [], time.perf_counter()
    for i in range(round(rate * seconds)):
        due = began + i / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        late.append(1000 * (time.perf_counter() - due))
        made = exchange(answer=exchange().answer.replace(b"A test.", b"word " * 100))
        recorder.begin(made).end(made)
    return late


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--uri")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LLMOPS_HOME"] = str(folder / "home")
        mlflow.set_tracking_uri(chosen.uri or f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.MlflowClient().search_experiments()
        without = asyncio.run(steady(Recorder(config(traces=False), folder), chosen.rate, 5))
        recorder = Recorder(config(), folder)
        made = exchange()
        recorder.begin(made).end(made)
        while not recorder.exported:  # the process has started
            time.sleep(0.1)
        late = asyncio.run(steady(recorder, chosen.rate, chosen.seconds))
        waiting = len(late) + 1 - recorder.exported - recorder.dropped
        child = psutil.Process().children()[0]
        cpu = sum(child.cpu_times()[:2])
        recorder.close()
        print(f"steady: {chosen.rate:g}/s for {chosen.seconds:g} s, load {os.getloadavg()[0]:.1f}")
        print(f"  exported {recorder.exported}, dropped {recorder.dropped}, behind {waiting}")
        print(f"  CPU of the exporter: {1000 * cpu / len(late):.1f} ms a trace")
        for label, values in (("without traces", without), ("with traces", late)):
            values.sort()
            shown = [values[int(share * len(values))] for share in (0.5, 0.99)]
            print(f"  event loop late, {label}: p50 {shown[0]:.2f} ms, p99 {shown[1]:.2f} ms")
        burst(folder)


def burst(folder: Path) -> None:
    """Print how fast a full queue becomes traces."""
    recorder = Recorder(config(), folder)
    recorder.begin(exchange()).end(exchange())
    while not recorder.exported:
        time.sleep(0.1)
    many = [exchange() for _ in range(BURST)]
    began, queued = time.perf_counter(), time.thread_time()
    for made in many:
        recorder.begin(made).end(made)
    queued = time.thread_time() - queued
    while recorder.exported + recorder.dropped <= BURST:
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    recorder.close()
    print(
        f"burst: {BURST} queued in {1e6 * queued / BURST:.0f} µs of CPU each;"
        f" {recorder.exported / seconds:.0f} traces/s, dropped {recorder.dropped}"
    )


if __name__ == "__main__":
    main()
