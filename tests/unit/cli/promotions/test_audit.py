"""`llmops audit`, and what `doctor` and `show` say of the same, as a user meets it."""

from __future__ import annotations

import json

import pytest
from command_line import Command
from judged import judged
from kills import Killed, impatient, killed_at

from llmops.gate import promote
from llmops.records import ModelVersion
from llmops.store import registry


def test_all_in_order_is_exit_code_0(llmops: Command, version: ModelVersion) -> None:
    judged(version.uri, "tiny")
    done = llmops("audit", "--all")
    assert (done.returncode, done.stdout) == (0, "every champion is proven\n")


def test_what_is_found_is_exit_code_3_with_the_next_command(
    llmops: Command, version: ModelVersion, another: ModelVersion
) -> None:
    done = llmops("audit", "bot", "--mark")
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "bot@champion  version 1  models:/bot/1: has no evidence",
        "  Next: llmops gate RECIPE --candidate models:/bot/1",
    ]
    assert registry.version_tag("bot", "1", "proof") == "UNPROVEN"
    record = json.loads(llmops("audit", "--all", "--output", "json").stdout)
    assert not record["ok"]
    assert record["findings"][0]["version"] == "1"


@pytest.mark.parametrize("arguments", [[], ["bot", "--all"]])
def test_names_or_all(llmops: Command, store: str, arguments: list[str]) -> None:
    done = llmops("audit", *arguments)
    assert done.returncode == 2
    assert "name the registered models to audit, or --all" in done.stderr


def test_doctor_and_show_name_the_command_that_finishes_a_promotion(
    llmops: Command,
    version: ModelVersion,
    another: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient(monkeypatch)
    judged(another.uri, version.uri)
    with pytest.raises(Killed):
        killed_at(monkeypatch, 1, lambda: promote(another.uri), ["set_registered_model_alias"])
    done = llmops("doctor")
    assert done.returncode == 1
    assert "bot@champion: half done: the promotion to version 2" in done.stdout
    assert "  Next: llmops promote models:/bot/2\n" in done.stdout
    shown = llmops("show", "models:/bot/2")
    assert "@champion is half done: the promotion to version 2" in shown.stdout
    assert shown.stdout.endswith("Next: llmops promote models:/bot/2\n")
    assert llmops("promote", "models:/bot/2").returncode == 0
    assert "none half done" in llmops("doctor").stdout
    assert "half done" not in llmops("show", "models:/bot/2").stdout
