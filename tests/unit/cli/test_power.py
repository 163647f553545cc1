"""`llmops power` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from llmops.cli.main import cli
from llmops.errors import UsageError
from llmops.stats.power import Design, detectable, prompts_needed


def power(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, ["power", *arguments], catch_exceptions=True)
    if isinstance(done.exception, UsageError):
        raise done.exception
    return done


def test_a_table_for_people() -> None:
    shown = power("--margin", "0.05", "--discordance", "0.3", "--prompts", "500")
    assert shown.exit_code == 0
    assert "above -0.05 if the true difference is 0" in shown.output
    assert f"fixed   {prompts_needed(Design(-0.05, 0.3, alpha=0.025), 0.0)}" in shown.output
    assert "hybrid" in shown.output
    assert "With 500 prompts: power 0." in shown.output
    mde = detectable(Design(discordance=0.3, alpha=0.025), 500)
    assert f"MDE {mde:.3f} at power 0.8." in shown.output
    assert "no change" not in shown.output


def test_json_for_programs() -> None:
    arguments = "--must improve --discordance 0.27 --difference 0.05 --prompts 400"
    shown = power(*arguments.split(), "--output", "json")
    record = json.loads(shown.output)
    assert record["needed"]["fixed"]["prompts"] == 846
    assert 846 < record["needed"]["hybrid"]["prompts"] < 1_000
    assert record["needed"]["hybrid"]["mean"] <= record["needed"]["hybrid"]["prompts"]
    assert record["with_prompts"]["detectable"] == pytest.approx(
        detectable(Design(discordance=0.27, alpha=0.025), 400)
    )
    assert record["schema_version"] == 1


def test_scores_by_their_spread() -> None:
    shown = power("--margin", "0.05", "--sd", "0.2")
    assert "sd 0.2" in shown.output
    assert "not simulated" in shown.output


def test_too_few_prompts_are_said_to_be_too_few() -> None:
    shown = power("--margin", "0.05", "--discordance", "0.1", "--prompts", "5")
    assert "no difference is detectable at power 0.8" in shown.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--discordance 0.3", "above 0: no suite can show a loss of exactly 0"),
        ("--discordance 0.3", "--margin: missing"),
        ("--margin -0.1 --discordance 0.3", "received -0.1"),
        ("--must improve --margin -0.1 --discordance 0.3", "at least 0"),
        ("--margin 0.05", "either the discordance or the sd"),
        ("--margin 0.05 --discordance 1.3", "at most 1"),
        ("--margin 0.05 --discordance 0.3 --difference -0.1", "not beyond"),
        ("--margin 0.05 --discordance 0.3 --difference 0.4", "more than the discordance"),
        ("--margin 0.05 --discordance 0.3 --power 1", "power"),
        ("--margin nan --discordance 0.3", "received nan"),
        ("--margin 1e-300 --sd 1", "out of range"),
    ],
)
def test_mistakes_are_reported_with_the_next_command(arguments: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        power(*arguments.split())
    assert refused.value.next_command
    assert refused.value.exit_code == 2


def test_it_needs_no_torch_and_no_mlflow() -> None:
    code = (
        "import sys; sys.argv = ['llmops', 'power', '--margin', '.05', '--discordance', '.3']\n"
        "from llmops.cli.main import cli\n"
        "cli.main(standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers', 'mlflow'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
