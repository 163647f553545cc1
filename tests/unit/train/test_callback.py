"""What one optimizer step tells MLflow, the terminal and the disk."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest

from llmops.store import connection
from llmops.train import checkpoints
from llmops.train.callback import LoopCallback, memory_bytes, peak_memory_bytes


def state(step: int, tokens: int) -> Any:
    return SimpleNamespace(global_step=step, max_steps=8, num_input_tokens_seen=tokens)


def test_numbers_of_a_step_go_to_mlflow_and_infinite_ones_do_not(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = LoopCallback(first_step=2)
    with mlflow.start_run() as run:
        callback.on_train_begin(None, state(2, 100), None)
        callback.on_log(None, state(3, 160), None, {"loss": 1.5, "grad_norm": float("inf")})
        callback.on_log(None, state(3, 160), None, {"eval_loss": 9.0})  # no step of training
        callback.close()
    found = connection.client().get_run(run.info.run_id).data.metrics
    assert found["train/loss"] == 1.5
    assert found["train/tokens_per_second"] > 0
    assert found["train/memory_mb"] > 50
    assert set(found) == {"train/loss", "train/tokens_per_second", "train/memory_mb"}
    assert capsys.readouterr().err == "train: 3/8  loss 1.500, 60 tokens/s\n".replace(
        "60 tokens", f"{found['train/tokens_per_second']:.0f} tokens"
    )


def test_a_saved_checkpoint_is_marked_with_the_time_of_all_sittings(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-4").mkdir()
    callback = LoopCallback(seconds=100.0)
    callback.on_train_begin(None, state(0, 0), None)
    callback.on_save(SimpleNamespace(output_dir=str(tmp_path)), state(4, 0), None)
    assert 100.0 <= checkpoints.seconds(tmp_path / "checkpoint-4") < 110.0
    callback.close()


def test_the_clock_of_a_sitting_starts_with_its_training() -> None:
    callback = LoopCallback(seconds=7.0)
    time.sleep(0.05)  # loading, which is not training
    callback.on_train_begin(None, state(0, 0), None)
    assert callback.seconds < 7.05
    callback.close()


def test_the_peak_is_at_least_what_is_in_use() -> None:
    held = bytearray(50 * 2**20)
    assert peak_memory_bytes() >= memory_bytes() * 0.9
    assert memory_bytes() > len(held)
