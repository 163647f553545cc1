"""Kill -9, Ctrl-C and resume, with real processes and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from llmops.models import stored
from llmops.store import connection
from llmops.train import checkpoints
from llmops.train.checkpoints import MARK

STEPS = ["train.max_steps=40", "train.save_steps=4"]
PATIENCE_SECONDS = 120


def start(recipe: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "llmops", "train", str(recipe), *STEPS, "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def wait_for_checkpoint(home: Path, process: subprocess.Popen[str], step: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if any(home.glob(f"runs/*/train-*/checkpoints/checkpoint-{step}/{MARK}")):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    pytest.fail(f"no checkpoint at step {step}")


def adapter_digests() -> list[str]:
    found = connection.client().search_model_versions("name = 'own'")
    return [stored.read_pin(f"models:/own/{v.version}").adapter_digest for v in found]


def test_kill_9_resumes_into_the_same_run_with_the_same_result(
    store: str, own_recipe: Path, tmp_path: Path
) -> None:
    process = start(own_recipe)
    wait_for_checkpoint(tmp_path / "home", process, 8)
    process.kill()
    process.communicate()
    client = connection.client()
    experiment = client.get_experiment_by_name("own").experiment_id
    (killed,) = client.search_runs([experiment])
    assert adapter_digests() == []

    output, errors = start(own_recipe).communicate(timeout=PATIENCE_SECONDS)
    assert "resuming at step" in errors
    assert killed.info.run_id in output
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")]
    assert set(steps) == set(range(1, 41))
    assert int(run.data.tags["llmops.resumed_at_step"]) >= 8

    start(own_recipe).communicate(timeout=PATIENCE_SECONDS)  # never interrupted
    resumed, whole = adapter_digests()
    assert resumed == whole, "a resumed training ends with the same bytes as an uninterrupted one"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_130_and_nothing_registered(
    store: str, own_recipe: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(own_recipe)
    wait_for_checkpoint(tmp_path / "home", process, 4)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "rerun the same command to resume" in errors
    assert output == ""
    assert psutil.wait_procs(children, timeout=10)[1] == []
    experiment = connection.client().get_experiment_by_name("own").experiment_id
    (run,) = connection.client().search_runs([experiment])
    assert run.info.status == "KILLED"
    assert adapter_digests() == []


def test_a_torn_checkpoint_is_not_resumed_from(tmp_path: Path) -> None:
    for step, whole in ((2, True), (10, True), (12, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if whole:
            (folder / MARK).write_text("{}")
    assert checkpoints.last(tmp_path) == tmp_path / "checkpoint-10"
    assert checkpoints.last(tmp_path / "nothing") is None
