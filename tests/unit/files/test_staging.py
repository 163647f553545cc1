from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmops.files import home, staging

HOLD = """
import sys, time
from llmops.files import staging
with staging.staging() as folder:
    (folder / "big").write_text("bytes")
    staging.note(model_id="m-1", store="sqlite://")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def killed() -> Path:
    """The folder of a process that was killed with -9."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert staging.leftovers() == [], "its owner lives"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    old = time.time() - 60
    os.utime(folder.with_suffix(".lock"), (old, old))
    return folder


def test_a_folder_goes_with_its_work() -> None:
    with pytest.raises(KeyError), staging.staging() as folder:  # noqa: PT012
        (folder / "part").write_text("x")
        raise KeyError
    assert list(home.folder("staging").iterdir()) == []


def test_what_a_killed_process_left_is_found_with_its_notes(killed: Path) -> None:
    (found,) = staging.leftovers()
    assert found.folder == killed
    assert found.notes == {"model_id": "m-1", "store": "sqlite://"}
    staging.remove(found)
    assert list(home.folder("staging").iterdir()) == []


def test_a_process_that_works_is_left_alone(killed: Path) -> None:
    with staging.staging() as mine:
        old = time.time() - 60
        os.utime(mine.with_suffix(".lock"), (old, old))
        assert [left.folder for left in staging.leftovers()] == [killed]


def test_notes_add_up_and_outside_of_staging_go_nowhere() -> None:
    staging.note(lost="x")
    with staging.staging() as folder:
        staging.note(a="1")
        staging.note(b="2")
        assert staging._notes(folder) == {"a": "1", "b": "2"}


def test_a_folder_that_is_kept_is_a_leftover_with_its_notes() -> None:
    with staging.staging() as folder:
        staging.note(token="t")
        staging.keep()
    (left,) = staging.leftovers()
    assert left.folder == folder
    assert left.notes["token"] == "t"
    staging.remove(left)
    assert staging.leftovers() == []
