"""What the home holds, by kind, age and owner."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from llmops.errors import LlmopsError
from llmops.files import home
from llmops.files.staging import Leftover
from llmops.files.workspace import workspace
from llmops.models import bases, inventory

DAY = 86_400


def laid(kind: str, name: str, size: int, days: float) -> Path:
    """A thing of the home that was used some days ago."""
    folder = home.folder(kind) / name
    folder.mkdir()
    (folder / "file").write_bytes(b"x" * size)
    old = time.time() - days * DAY
    if kind == "models":
        (folder / bases.MANIFEST).touch()
        os.utime(folder / bases.MANIFEST, (old, old))
    else:
        os.utime(folder, (old, old))
    return folder


def test_items_come_by_kind_and_the_largest_first() -> None:
    laid("models", "small", 10, 0)
    laid("models", "large", 20, 0)
    laid("adapters", "huge", 99, 0)
    (home.folder("cache") / "answers.sqlite").write_bytes(b"xyz")
    found = [(item.kind, item.name, item.size) for item in inventory.items()]
    assert found == [
        ("base", "large", 20),
        ("base", "small", 10),
        ("adapter", "huge", 99),
        ("results", "answers.sqlite", 3),
    ]


def test_only_what_was_not_used_for_long_is_unused() -> None:
    laid("models", "old", 1, 31)
    laid("models", "young", 1, 29)
    laid("adapters", "ancient", 1, 400)
    (home.folder("cache") / "answers.sqlite").touch()
    os.utime(home.folder("cache") / "answers.sqlite", (0, 0))
    assert [item.name for item in inventory.unused(30)] == ["old", "ancient"], "never the answers"


def test_the_folder_of_a_run_that_goes_on_is_in_use() -> None:
    with workspace("bot", "k1") as work:
        os.utime(work, (0, 0))
        assert inventory.unused(30) == []
    with pytest.raises(KeyError), workspace("bot", "k1") as work:  # noqa: PT012
        os.utime(work, (0, 0))
        raise KeyError
    (item,) = inventory.unused(30)
    inventory.remove(item)
    assert not work.exists()
    assert not Path(f"{work}.lock").exists()


def test_what_cannot_be_removed_is_said() -> None:
    gone = inventory.Item("base", "gone", home.folder("models") / "gone", 0, 0)
    with pytest.raises(LlmopsError, match="gone: cannot be removed"):
        inventory.remove(gone)


def test_what_a_killed_process_had_begun_elsewhere_goes_too(tmp_path: Path) -> None:
    begun = tmp_path / "mlflow-tmp" / "model"
    begun.mkdir(parents=True)
    folder = home.folder("staging") / "abandoned"
    folder.mkdir()
    leftover = Leftover(folder, {"written": str(begun), "partial": str(tmp_path / "never-made")})
    assert inventory.collect(leftover) == [str(folder), str(begun)]
    assert not begun.parent.exists(), "MLflow's temporary folder, empty now"
    assert not folder.exists()


def test_one_that_cannot_be_collected_does_not_keep_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stuck, fine = home.folder("staging") / "stuck", home.folder("staging") / "fine"
    stuck.mkdir()
    fine.mkdir()
    notes = {"token": "t", "experiment_id": "0", "registry": "", "name": ""}
    notes["tracking"] = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'x.db'}"
    (tmp_path / "no").write_text("a file where a folder would have to be")
    removed = inventory.collect_all([Leftover(stuck, notes), Leftover(fine, {})])
    assert removed == [str(fine)]
    assert stuck.exists(), "its note stays for the next time"
    assert "warning: removing an unfinished model" in capsys.readouterr().err
