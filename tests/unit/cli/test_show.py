"""`llmops show` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import mlflow
import pytest
from command_line import Command

from llmops import flavor
from llmops.flavor.describe import describe
from llmops.models import stored, versions
from llmops.report.lineage import with_card
from llmops.store import connection, registry, tags

SHOW = """
import json, sys
from llmops.cli.main import cli
cli.main(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {"torch", "transformers", "peft", "trl"}


@pytest.fixture
def show(llmops: Command) -> Command:
    return partial(llmops, "show")


@pytest.fixture
def bot(store: str, tiny_model: Path, tiny_adapter: Path) -> str:
    flavor.add_base(tiny_model, "tiny")
    with mlflow.start_run(run_name="bot train"):
        mlflow.log_params({"method": "lora", "learning_rate": 0.0002})
        flavor.log_model(
            str(tiny_adapter), base="tiny", registered_model_name="bot", alias="challenger"
        )
    return "models:/bot/1"


def judged(verdict: str) -> None:
    connection.client().set_model_version_tag("bot", "1", "llmops.verdict", verdict)


def test_the_table_is_narrow_and_ends_with_the_next_command(show: Command, bot: str) -> None:
    done = show("models:/bot@challenger")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["models:/bot/1 @challenger", "LoRA r4 on tiny"]
    assert lines[-1] == "Next: llmops compare models:/tiny/1 models:/bot/1 --suite SUITE.jsonl"
    hints = [line for line in lines if line.startswith("     needs: mlflow server")]
    assert len(hints) == 1, "the links lead to a server that may not run"
    assert max(len(line) for line in lines if line not in hints) <= 100
    labels = [line.split()[0] for line in lines if line and line[0].islower()][1:]
    expected = ["base", "adapter", "data", "recipe", "code", "run", "evidence", "packages"]
    assert labels == expected


def test_the_json_says_the_same_with_whole_digests(show: Command, bot: str) -> None:
    record = json.loads(show(bot, "--output", "json").stdout)
    pin = stored.read_pin(bot)
    assert record["schema_version"] == 1
    assert (record["uri"], record["kind"]) == (bot, "adapter")
    assert record["base"]["digest"] == pin.digest
    assert record["base"]["uri"] == "models:/tiny/1"
    assert record["adapter"]["digest"] == pin.adapter_digest
    assert record["run"]["params"] == {"method": "lora", "learning_rate": "0.0002"}
    assert record["data_digest"] is record["recipe_digest"] is record["evidence"] is None
    assert record["next_command"].startswith("llmops compare")


@pytest.mark.parametrize(
    ("verdict", "following"),
    [
        ("IMPROVED", "llmops promote models:/bot/1"),
        ("NOT_WORSE", "llmops promote models:/bot/1"),
        ("REGRESSED", "llmops gate RECIPE --candidate models:/bot/1 --suite MORE_PROMPTS.jsonl"),
    ],
)
def test_the_next_command_follows_the_verdict(
    show: Command, bot: str, verdict: str, following: str
) -> None:
    judged(verdict)
    assert show(bot).stdout.endswith(f"Next: {following}\n")


@pytest.mark.parametrize(
    ("versus", "following"),
    [
        ("base", "llmops gate RECIPE --candidate models:/bot/1"),
        ("v1", "llmops gate RECIPE --candidate models:/bot/1"),
        ("v2", "llmops promote models:/bot/1"),
    ],
)
def test_stale_evidence_leads_to_the_gate(
    show: Command, bot: str, tiny_adapter: Path, versus: str, following: str
) -> None:
    flavor.log_model(str(tiny_adapter), base="tiny", registered_model_name="bot", alias="champion")
    judged("IMPROVED")
    connection.client().set_model_version_tag("bot", "1", tags.VERSUS, versus)
    assert show(bot).stdout.endswith(f"Next: {following}\n")


def test_a_champion_is_served_and_a_logged_model_exported(show: Command, bot: str) -> None:
    registry.set_alias("bot", "champion", "1")
    served = "Next: mlflow deployments create -t llmops --name bot -m models:/bot@champion\n"
    assert show(bot).stdout.endswith(served)
    base = "Next: mlflow deployments create -t llmops --name tiny -m models:/tiny/1\n"
    assert show("tiny").stdout.endswith(base)
    model_id = versions.get_version("bot", "1").model_id
    logged = show(f"models:/{model_id}")
    assert logged.stdout.endswith(f"Next: llmops export models:/{model_id} DIRECTORY\n")


@pytest.mark.parametrize("uri", ["bot", "models:/", "models:/bot@none", "models:/bot/7"])
def test_a_uri_that_leads_nowhere_is_a_usage_error(show: Command, store: str, uri: str) -> None:
    done = show(uri)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_no_heavy_library_is_imported(bot: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHOW, "show", bot],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "LoRA r4 on tiny" in done.stdout
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_logging_describes_the_version_and_its_logged_model(bot: str) -> None:
    model_id = versions.get_version("bot", "1").model_id
    note = connection.client().get_logged_model(model_id).tags[tags.NOTE]
    description = connection.client().get_model_version("bot", "1").description
    assert note == description
    assert description.startswith("LoRA r4 on tiny\n---\n\n### Lineage\n")
    assert f"/models/{model_id})" in description
    describe("bot", "1")
    assert connection.client().get_model_version("bot", "1").description == description


def test_a_card_and_the_lineage_keep_each_other(bot: str) -> None:
    model_id = versions.get_version("bot", "1").model_id
    card = "IMPROVED: v1 beats the bare base\n---\nBy much.\n"
    registry.redescribe("bot", "1", model_id, partial(with_card, card=card))
    describe("bot", "1")
    note = connection.client().get_logged_model(model_id).tags[tags.NOTE]
    description = connection.client().get_model_version("bot", "1").description
    assert note == description
    assert description.startswith(f"{card}\n### Lineage\n")
    assert "LoRA r4 on tiny" not in description


def test_a_description_that_cannot_be_written_is_told_not_raised(
    bot: str, capsys: pytest.CaptureFixture[str]
) -> None:
    describe("bot", "7")
    assert "warning: models:/bot/7 has no description" in capsys.readouterr().err
