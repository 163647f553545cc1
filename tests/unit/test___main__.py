"""The process ends at once, but only after its threads and exit handlers have finished."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import atexit, sys, threading, time
from pathlib import Path

sys.argv = ["llmops", *sys.argv[2:]]
done = Path({done!r})

class Slow:
    def __del__(self):  # what takes long when an interpreter is taken down
        done.with_name("freed").touch()

from llmops import __main__
from llmops.cli import main as command

def late():
    time.sleep(0.3)
    atexit.register(lambda: done.touch())

def begin(run=command._guarded):
    sys.kept = Slow()
    threading.Thread(target=late).start()
    return run

original = command._guarded
command._guarded = lambda debug: begin()(debug)
__main__.main()
"""


@pytest.mark.parametrize(
    ("arguments", "code"), [(["recipes", "ls"], 0), (["no-such-verb"], 2), (["validate", "odd"], 2)]
)
def test_threads_and_exit_handlers_come_first(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    script = SCRIPT.format(done=str(tmp_path / "done"))
    ended = subprocess.run(
        [sys.executable, "-c", script, "-", *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stdout or ended.stderr
    assert (tmp_path / "done").exists()
    assert not (tmp_path / "freed").exists()


def test_all_output_reaches_a_pipe() -> None:
    command = [sys.executable, "-m", "llmops", "validate", "quickstart", "--output", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("}\n")


def test_a_closed_output_is_no_traceback() -> None:
    command = f"{sys.executable} -m llmops recipes ls >&-"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m llmops --help | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_reported_with_the_next_step() -> None:
    command = f"{sys.executable} -m llmops recipes ls >/dev/full"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: cannot write standard output")
    assert "Next: free disk space, then rerun the same command to resume\n" in ended.stderr
