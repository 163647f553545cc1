from __future__ import annotations

from pathlib import Path

from llmops.train import checkpoints


def checkpoint(folder: Path, step: int, *, whole: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "weights").write_text("x")
    if whole:
        checkpoints.mark(path, seconds=step / 2)
    return path


def test_the_newest_by_number_is_the_last(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9)
    newest = checkpoint(tmp_path, 10)  # as texts, 9 comes after 10
    assert checkpoints.last(tmp_path) == newest
    assert checkpoints.step(newest) == 10
    assert checkpoints.seconds(newest) == 5.0


def test_a_torn_checkpoint_is_removed_and_never_the_last(tmp_path: Path) -> None:
    whole, torn = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4, whole=False)
    assert checkpoints.last(tmp_path) == whole
    assert not torn.exists()


def test_without_a_checkpoint_training_begins_at_the_start(tmp_path: Path) -> None:
    assert checkpoints.last(tmp_path) is None
    assert checkpoints.last(tmp_path / "nowhere") is None
