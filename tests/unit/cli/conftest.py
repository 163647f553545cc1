"""The command line for tests of every verb."""

from __future__ import annotations

import pytest
from command_line import Command, command_line


@pytest.fixture
def llmops(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_line(monkeypatch, capsys)
