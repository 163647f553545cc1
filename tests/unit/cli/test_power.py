"""`llmops power` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from llmops.cli.main import cli
from llmops.errors import UsageError
from llmops.stats import Design, detectable, prompts_needed, simulated_power


def power(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, ["power", *arguments], catch_exceptions=True)
    if isinstance(done.exception, UsageError):
        raise done.exception
    return done


def test_a_table_for_people() -> None:
    shown = power("--margin", "0.05", "--discordance", "0.3", "--prompts", "500")
    assert shown.exit_code == 0
    assert "above -0.05 if the true difference is 0" in shown.output
    assert "Assumed: independent prompts." in shown.output
    design = Design(-0.05, 0.3)
    for method in ("spend", "fixed"):
        plan = prompts_needed(design, 0.0, method=method)  # type: ignore[arg-type]
        at = simulated_power(design, 0.0, 500, method)  # type: ignore[arg-type]
        mde = detectable(design, 500, method=method)  # type: ignore[arg-type]
        assert mde is not None
        row = [method, f"{plan.prompts:,}", f"{plan.mean:,.0f}", f"{plan.power:.2f}"]
        assert row in [line.split() for line in shown.output.splitlines()]
        assert (
            f"With 500 prompts, {method}: power {at.power:.2f} for this claim; "
            f"MDE {mde:.3f} at power 0.8."
        ) in shown.output
    assert "with an error of up to ±0.01" in shown.output
    assert "hybrid" not in shown.output
    assert "no change" not in shown.output


def test_json_for_programs() -> None:
    arguments = "--must improve --discordance 0.27 --difference 0.15 --prompts 60 --method fixed"
    record = json.loads(power(*arguments.split(), "--output", "json").output)
    assert record["needed"]["fixed"] == pytest.approx(
        prompts_needed(Design(discordance=0.27), 0.15, method="fixed")._asdict()
    )
    assert record["needed"].keys() == {"fixed"}
    assert record["with_prompts"]["fixed"]["detectable"] == pytest.approx(
        detectable(Design(discordance=0.27), 60, method="fixed")
    )
    assert record["needed"]["fixed"]["error"] == 0
    assert record["schema_version"] == 1


def test_scores_by_their_spread_and_level() -> None:
    arguments = "--margin 0.02 --sd 0.05 --level 0.7 --simulations 500 --output json"
    shown = power(*arguments.split())
    record = json.loads(shown.stdout)
    assert record["level"] == 0.7
    assert (
        record["needed"]["fixed"]["prompts"] > 140
    )  # 50 by the normal formula, of which none pass
    assert 0 < record["needed"]["fixed"]["error"] < 0.02


def test_clusters_are_named() -> None:
    few = ["--margin", "0.15", "--discordance", "0.2", "--method", "spend", "--simulations", "400"]
    alone = power(*few)
    sized = power(*few, "--cluster-size", "1,3,8", "--icc", "0.4")
    numbered = power(*few, "--clusters", "200", "--icc", "0.4")
    assert "Assumed: independent prompts" in alone.output
    assert "Assumed: clusters of 1, 3, 8 prompts, intraclass correlation 0.4" in sized.output
    assert "Assumed: 200 clusters, intraclass correlation 0.4" in numbered.output

    def prompts(shown: Result) -> int:
        return int(shown.output.split("spend")[1].split()[0].replace(",", ""))

    assert prompts(sized) > 1.3 * prompts(alone)


def test_both_directions_halve_the_level() -> None:
    few = ["--must", "improve", "--difference", "0.2", "--discordance", "0.3", "--method", "fixed"]
    assert power(*few, "--two-sided", "--alpha", "0.05").output == power(*few).output


def test_too_few_prompts_are_said_to_be_too_few() -> None:
    few = "--margin 0.1 --discordance 0.1 --prompts 5 --simulations 100"
    assert "no difference is detectable at power 0.8" in power(*few.split()).output


def test_a_suite_that_one_has_is_judged_even_if_no_suite_is_large_enough() -> None:
    few = "--margin 0.05 --sd 0.2 --icc 0.4 --clusters 9 --prompts 90 --simulations 100"
    shown = power(*few.split())
    assert shown.exit_code == 0
    assert "spend   out of reach" in shown.output
    assert "fixed: power 0.8 is out of reach; 450 prompts reach 0" in shown.output
    assert "With 90 prompts, fixed: power 0." in shown.output
    record = json.loads(power(*few.split(), "--output", "json").stdout)
    assert record["needed"] == {"spend": None, "fixed": None}
    assert record["with_prompts"]["fixed"]["prompts"] == 90


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--discordance 0.3", "above 0: no suite can show a loss of exactly 0"),
        ("--discordance 0.3", "--margin: missing"),
        ("--margin -0.1 --discordance 0.3", "received -0.1"),
        ("--must improve --margin -0.1 --discordance 0.3", "at least 0"),
        ("--margin 5 --discordance 0.3", "--margin: received 5;.* below 1: .*5 points are 0.05"),
        ("--must improve --margin 1 --sd 0.2", "--margin: received 1; .*below 1"),
        ("--margin 0.05", "either the discordance or the sd, received neither"),
        ("--margin 0.05 --discordance 0.3 --sd 0.2", "the sd, received both"),
        ("--margin 0.05 --discordance 1.3", "at most 1"),
        ("--margin 0.05 --discordance 0.3 --difference -0.1", "not beyond"),
        ("--margin 0.05 --discordance 0.3 --difference 0.4", "more than the discordance"),
        ("--margin 0.05 --discordance 0.3 --power 1", "power"),
        ("--margin nan --discordance 0.3", "received nan"),
        ("--margin 1e-300 --discordance 1 --simulations 100", "1,000,000 prompts reach 0.0"),
        ("--margin 0.05 --sd 1", "sd: expected a number between 0 and 1"),
        ("--margin 0.05 --sd 0.2 --level 1.5", "level"),
        ("--margin 0.05 --sd 0.2 --cluster-size 4", "--icc: missing"),
        ("--margin 0.05 --sd 0.2 --icc 0.4", "--icc: received without clusters"),
        ("--margin 0.05 --sd 0.2 --icc 0.4 --cluster-size 4,x", "--cluster-size: received '4,x'"),
        ("--margin 0.05 --sd 0.2 --icc 0.4 --cluster-size 0", "cluster size"),
        ("--margin 0.05 --sd 0.2 --icc 0.4 --cluster-size 4 --clusters 9", "either the number"),
        (
            "--margin 0.05 --sd 0.2 --icc 0.4 --clusters 9 --simulations 100",
            "out of reach; 450 prompts reach 0",
        ),
    ],
)
def test_mistakes_are_reported_with_the_next_command(arguments: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        power(*arguments.split())
    assert refused.value.next_command
    assert refused.value.exit_code == 2


def test_it_needs_no_torch_and_no_mlflow() -> None:
    code = (
        "import sys; sys.argv = 'llmops power --margin .1 --discordance .2 --method fixed'.split()\n"
        "from llmops.cli.main import cli\n"
        "cli.main(standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers', 'mlflow'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_a_simulation_that_takes_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops.cli.power.PATIENCE_SECONDS", 0.0)
    shown = power(
        *["--margin", "0.1", "--discordance", "0.2", "--method", "spend", "--simulations", "200"]
    )
    assert "simulating comparisons" in shown.stderr
    assert "simulating" not in shown.stdout
