"""``llmops compare``: compare versions on the prompts of one suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmops.cli.options import emit, output_option, run_page
from llmops.files.output import check_output, write_output
from llmops.recipe import engine_names, scorer_names
from llmops.recipe.schema import Compare, Requirement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmops.records import Comparison

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
    type=click.Choice(["spend", "hybrid", "fixed", "obf", "anytime"]),
    default="spend",
    show_default=True,
    help="When to stop: fixed asks every prompt; the others stop once the first scorer is decided.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Non-inferiority margin for the first scorer. Without it, test for improvement.",
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
    help="Most tokens in an answer.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    default=0.0,
    show_default=True,
    help="Sampling temperature; 0 is greedy.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Answers to each prompt; they form one cluster. Above 1 needs a --temperature above 0.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.999),
    default=0.95,
    show_default=True,
    help="Confidence level of the two-sided intervals.",
)
@click.option("--no-traces", is_flag=True, help="Write no traces, only tables; saves 0.01 s each.")
@click.option("--no-cache", is_flag=True, help="Use no cached answers, and cache none.")
@click.option(
    "--experiment",
    default="llmops-compare",
    show_default=True,
    help="MLflow experiment that gets the result.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Human labels, a CSV or JSON lines file that --label-sample wrote: combine them with the"
    " first scorer (prediction-powered inference). Needs --method fixed.",
)
@click.option(
    "--label-sample",
    type=click.IntRange(50),
    metavar="N",
    help="Draw N prompts at random for humans to label, and write them to the new file --labels.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Also write the HTML report to this file (one candidate only). In MLflow, the run has it as"
    " report/report.html.",
)
@output_option
def command(
    baseline: str,
    candidates: tuple[str, ...],
    suite: Path,
    labels: Path | None,
    label_sample: int | None,
    report: Path | None,
    output: str,
    **options: Any,
) -> None:
    """Compare each CANDIDATE with BASELINE on held-out prompts.

    A side is models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID, runs:/ID/NAME, a registered
    base model, or openai:URL#MODEL. Several candidates are ranked; their intervals hold jointly.

    Example: llmops compare models:/quickstart/1 models:/quickstart/2 --suite data/test.jsonl
    """
    if options["repeats"] > 1 and options["temperature"] == 0:
        raise click.UsageError(
            "--repeats needs a --temperature above 0: greedy answers do not vary"
        )
    if report:
        _check_report(report, suite, candidates)
    if labels or label_sample:
        comparisons, about_labels = _labelled(
            baseline, candidates, suite, labels, label_sample, **options
        )
    else:
        comparisons, about_labels = _compare(baseline, candidates, suite, **options), ""
    _emit(output, comparisons, about_labels)
    if report:
        _write(report, comparisons[0])


def _compare(
    baseline: str,
    candidates: tuple[str, ...],
    suite: Path,
    *,
    scorers: tuple[str, ...],
    margin: float | None,
    no_traces: bool,
    no_cache: bool,
    experiment: str,
    **settings: Any,  # options that have the name of a key of the recipe's `compare`
) -> Sequence[Comparison]:
    """Compare the sides; return one comparison for each candidate, in the order given."""
    from llmops.compare import compare_all, load_suite
    from llmops.store import connection

    held_out = load_suite(suite)
    connection.connect()
    connection.use_experiment(experiment)
    config = Compare(traces=not no_traces, **settings)
    return compare_all(
        baseline,
        candidates,
        held_out,
        config,
        scorers=scorers or None,
        questions=_questions(scorers or config.scorers, margin),
        cache=not no_cache,
    )


def _labelled(
    baseline: str,
    candidates: tuple[str, ...],
    suite: Path,
    file: Path | None,
    sample: int | None,
    **options: Any,
) -> tuple[Sequence[Comparison], str]:
    """Compare, and write a sample to label or read labels; return also what to print about it."""
    from llmops.compare.labels.step import check_labels, label

    checked = check_labels(file, sample, candidates=len(candidates), method=options["method"])
    (comparison,) = _compare(baseline, candidates, suite, **options)
    comparison, text = label(comparison, checked, sample)
    return [comparison], text


def _check_report(report: Path, suite: Path, candidates: Sequence[str]) -> None:
    """Refuse, before the comparison, a report that could not be written after it."""
    if len(candidates) > 1:
        raise click.UsageError(
            f"--report takes one candidate, received {len(candidates)}; MLflow has the report of"
            " each in its run"
        )
    check_output("--report", report, [suite])


def _write(file: Path, comparison: Comparison) -> None:
    from llmops.report import html_report

    elsewhere = (
        f"mlflow artifacts download -r {comparison.run_id} -a report/report.html"
        "  (the run has the report)"
    )
    write_output("--report", file, html_report(comparison), otherwise=elsewhere)


def _questions(scorers: Sequence[str], margin: float | None) -> tuple[Requirement, ...]:
    """Return what the comparison must decide; empty: whether the first scorer improves."""
    if margin is None:
        return ()
    first = scorer_names.parse(scorers[0], code=True).label
    return (Requirement(metric=first, must="not_regress", margin=margin),)


def _emit(output: str, comparisons: Sequence[Comparison], labels: str) -> None:
    link, page = run_page(comparisons[0])
    text, record = _shown(comparisons)
    parts = [text, labels, page]
    emit(output, "\n\n".join(filter(None, parts)), {**record, "run": link})


def _shown(comparisons: Sequence[Comparison]) -> tuple[str, dict[str, Any]]:
    """Return text and record of one comparison, or of all with their ranking."""
    from llmops.compare import standings
    from llmops.report import comparison_table, standings_json, standings_table, to_json

    if len(comparisons) == 1:
        return comparison_table(comparisons[0]), to_json(comparisons[0])
    ranked = standings(comparisons)
    record = {
        "standings": standings_json(ranked),
        "comparisons": [to_json(comparison) for comparison in comparisons],
    }
    return standings_table(comparisons, ranked), record
