from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import llmops
from llmops import progress as module
from llmops.progress import progress, quiet_loading, say

ROOT = Path(llmops.__file__).parents[1]
WORK = """
from llmops.progress import progress
with progress(3, "train") as shown:
    for loss in ("2.5", "1.5", "0.5"):
        shown.advance(detail="loss " + loss)
print("result")
"""


def read_all(terminal: int) -> str:
    content = b""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as stream:
        while part := stream.read(4096):  # Linux ends a terminal with an error, macOS with nothing
            content += part
    return content.decode()


def test_elsewhere_than_on_a_terminal_one_line_tells_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress(10, "train", initial=4) as shown:
        shown.advance(2, "loss 1.50")
        shown.advance()
        assert capsys.readouterr().err == ""  # a minute has not passed
    printed = capsys.readouterr()
    assert printed.err == "train: 7/10\n"
    assert printed.out == ""


def test_elsewhere_a_line_comes_every_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 59.0, 61.0, 61.0, 120.0, 122.0, 122.0, 123.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    shown = module.Progress(9, "compare")
    for done in range(1, 5):
        shown.advance(detail=f"side {done}")
    assert capsys.readouterr().err == "compare: 2/9  side 2\ncompare: 4/9  side 4\n"


def test_a_failure_still_says_how_far_the_work_got(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), progress(5, "train") as shown:  # noqa: PT012
        shown.advance()
        raise KeyError
    assert capsys.readouterr().err == "train: 1/5\n"


def test_people_are_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("done")
    assert capsys.readouterr() == ("", "done\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a POSIX thing")
def test_on_a_terminal_there_is_a_bar() -> None:
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))  # a terminal without width shows no bar
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        stderr=theirs,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    os.close(theirs)
    drawn = read_all(ours)
    assert done.stdout == b"result\n"  # the bar stays out of what a pipe receives
    assert "\r" in drawn
    assert "train: 100%" in drawn
    assert "3/3" in drawn
    assert "loss 0.5" in drawn


@pytest.mark.parametrize("shown", [True, False])
def test_the_bar_of_transformers_is_off_meanwhile_and_then_as_before(shown: bool) -> None:
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        with pytest.raises(KeyError), quiet_loading():  # noqa: PT012
            assert not logging.is_progress_bar_enabled()
            raise KeyError
        assert logging.is_progress_bar_enabled() is shown
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()
