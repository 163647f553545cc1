"""``llmops webhook serve``: what it refuses before it listens."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from trained import recipe_file

from llmops.cli.main import cli
from llmops.errors import UsageError


@pytest.mark.parametrize("secret", ["", "short"])
def test_without_a_secret_that_nobody_guesses_it_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    recipe_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMOPS_WEBHOOK_SECRET", secret)
    done = CliRunner().invoke(cli, ["webhook", "serve", "bot.yaml"], standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert f"expected at least 16 characters, received {len(secret)}" in str(done.exception)
    assert "openssl rand -hex 24" in str(done.exception)


def test_it_listens_on_this_machine_only_by_default() -> None:
    shown = CliRunner().invoke(cli, ["webhook", "serve", "--help"]).output
    assert "default: 127.0.0.1" in " ".join(shown.split())
