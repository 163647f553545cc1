"""``llmops compare``: versions, one suite, a paired answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import emit, output_option
from llmops.recipe import engine_names, scorer_names
from llmops.recipe.schema import Compare, Requirement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmops.records import Comparison

LONGEST_NAME = 200
"""Bytes of a file's name: it is written under a longer one first."""
SCORER_HELP = (
    f"Scorer to use instead of the defaults ({', '.join(Compare().scorers)}). Repeatable."
    f" One of: {', '.join(scorer_names.allowed())}."
)


@click.command("compare")
@click.argument("baseline")
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True)
@click.option(
    "--suite",
    required=True,
    type=click.Path(path_type=Path),
    help="Held-out prompts: JSON lines, CSV, JSON or Parquet.",
)
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="[LABEL=]KIND[:ARGUMENT]",
    help=SCORER_HELP,
)
@click.option(
    "--method",
    type=click.Choice(["hybrid", "fixed", "obf", "anytime"]),
    default="hybrid",
    show_default=True,
    help="fixed asks every prompt; the others stop when the first scorer is decided.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Decide whether the first scorer loses less than this; without it, whether it gains.",
)
@click.option(
    "--engine",
    type=click.Choice(engine_names.selectable()),
    default="local",
    show_default=True,
    help="What generates: this process, or a vLLM server that is started and stopped.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Tokens an answer may have.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    default=0.0,
    show_default=True,
    help="0 is greedy.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Answers to each prompt, at a temperature above 0; counted as one cluster.",
)
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True)
@click.option("--no-traces", is_flag=True, help="Write tables only: a trace takes 0.01 s.")
@click.option("--no-cache", is_flag=True, help="Generate everything anew, and keep nothing.")
@click.option(
    "--experiment",
    default="llmops-compare",
    show_default=True,
    help="MLflow experiment for the result.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write the HTML report of one candidate to this file; MLflow has it as report/report.html.",
)
@output_option
def command(
    baseline: str,
    candidates: tuple[str, ...],
    suite: Path,
    scorers: tuple[str, ...],
    margin: float | None,
    temperature: float,
    repeats: int,
    no_traces: bool,
    no_cache: bool,
    experiment: str,
    report: Path | None,
    output: str,
    **settings: Any,  # options that have the name of a key of the recipe's `compare`
) -> None:
    """Compare each CANDIDATE with BASELINE on held-out prompts.

    A side is models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID, runs:/ID/NAME, a registered
    base model, or openai:URL#MODEL. Several candidates are ranked, and their intervals hold
    together.

    Example: llmops compare models:/quickstart/1 models:/quickstart/2 --suite data/test.jsonl
    """
    if repeats > 1 and temperature == 0:
        raise click.UsageError(
            "--repeats needs a --temperature above 0: greedy answers do not vary"
        )
    if report:
        _require_place(report, suite, candidates)
    from llmops.compare import compare_all, load_suite
    from llmops.store import connection

    held_out = load_suite(suite)
    connection.connect()
    connection.use_experiment(experiment)
    config = Compare(temperature=temperature, repeats=repeats, traces=not no_traces, **settings)
    found = compare_all(
        baseline,
        candidates,
        held_out,
        config,
        scorers=scorers or None,
        questions=_questions(scorers or config.scorers, margin),
        cache=not no_cache,
    )
    _emit(output, found)
    if report:
        _write(report, found[0])


def _require_place(report: Path, suite: Path, candidates: Sequence[str]) -> None:
    """Refuses before the work what would fail after it."""
    if len(candidates) > 1:
        raise click.UsageError(
            "--report takes one candidate; of several, MLflow keeps a report in the run of each"
        )
    try:
        wrong = _wrong_with(report, suite)
    except OSError as error:
        wrong = error.strerror or str(error)
    except RuntimeError:
        wrong = "is a link that leads to itself"
    if wrong:
        raise click.UsageError(f"--report {report}: {wrong}")


def _wrong_with(report: Path, suite: Path) -> str:
    """Why a report cannot be written there; empty if it can."""
    place = report.resolve()
    if place.exists() and not place.is_file():
        return "is no regular file"
    if place.exists() and suite.exists() and place.samefile(suite):
        return "is the suite itself"
    if len(os.fsencode(report.name)) > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} bytes"
    if not (place.parent.is_dir() and os.access(place.parent, os.W_OK)):
        return "its folder is not there, or not writable"
    return ""


def _write(file: Path, comparison: Comparison) -> None:
    from llmops.errors import LlmopsError
    from llmops.files import home
    from llmops.report import html_report

    try:
        home.write_whole(file.resolve(), html_report(comparison))  # through a link, not over it
    except OSError as error:
        raise LlmopsError(
            f"--report {file}: cannot be written: {error.strerror}",
            next_command="take it from the run: mlflow artifacts download -r"
            f" {comparison.run_id} -a report/report.html",
        ) from error


def _questions(scorers: Sequence[str], margin: float | None) -> tuple[Requirement, ...]:
    """What must be decided, if not whether the first scorer gains."""
    if margin is None:
        return ()
    first = scorer_names.parse(scorers[0], code=True).label
    return (Requirement(metric=first, must="not_regress", margin=margin),)


def _emit(output: str, found: Sequence[Comparison]) -> None:
    from llmops.store import connection

    link = connection.ui(f"/experiments/{found[0].experiment_id}/runs/{found[0].run_id}")
    text, record = _shown(found)
    emit(output, f"{text}\n\nRun: {link}", {**record, "run": link})


def _shown(found: Sequence[Comparison]) -> tuple[str, dict[str, Any]]:
    """Text and record: of one comparison, or of all with their ranking."""
    from llmops.compare import standings
    from llmops.report import comparison_table, standings_json, standings_table, to_json

    if len(found) == 1:
        return comparison_table(found[0]), to_json(found[0])
    ranked = standings(found)
    record = {
        "standings": standings_json(ranked),
        "comparisons": [to_json(one) for one in found],
    }
    return standings_table(found, ranked), record
