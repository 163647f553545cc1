"""The command line in this process: a new one takes seconds to import."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from llmops.cli.main import main


class Done(NamedTuple):
    """An ended command."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what calls the console script's function with arguments."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest's own handlers stay
        monkeypatch.setattr(sys, "argv", ["llmops", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(str(ended.value.code)), *capsys.readouterr())

    return call
