"""``llmops compare``: two versions, one suite, a paired answer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from llmops.cli.options import emit, output_option
from llmops.config import Compare


@click.command("compare")
@click.argument("baseline")
@click.argument("candidate")
@click.option(
    "--suite",
    required=True,
    type=click.Path(path_type=Path),
    help="Held-out prompts with expected answers: JSON lines, CSV, JSON or Parquet.",
)
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="[LABEL=]KIND[:ARGUMENT]",
    help="What is scored, in place of token_f1, rouge_l, one_line and likelihood; again for more.",
)
@click.option(
    "--method",
    type=click.Choice(["fixed", "hybrid", "obf", "anytime"]),
    default="hybrid",
    show_default=True,
    help="fixed asks every prompt; the others stop when the first scorer is decided.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Tokens an answer may have.",
)
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True)
@click.option(
    "--experiment",
    default="llmops-compare",
    show_default=True,
    help="MLflow experiment for the result.",
)
@output_option
def command(
    baseline: str,
    candidate: str,
    suite: Path,
    scorers: tuple[str, ...],
    method: Literal["fixed", "hybrid", "obf", "anytime"],
    max_tokens: int,
    confidence: float,
    experiment: str,
    output: str,
) -> None:
    """Compare CANDIDATE against BASELINE on held-out prompts.

    A side is models:/NAME/VERSION, models:/NAME@ALIAS, or a registered base model.

    Example: llmops compare models:/quickstart/1 models:/quickstart/2 --suite data/test.jsonl
    """
    from llmops import store
    from llmops.compare import compare, load_suite
    from llmops.report import comparison_table, to_json

    held_out = load_suite(suite)
    store.connect()
    store.use_experiment(experiment)
    config = Compare(max_tokens=max_tokens, confidence=confidence, method=method)
    comparison = compare(baseline, candidate, held_out, config, scorers=scorers or None)
    link = store.ui(f"/experiments/{comparison.experiment_id}/runs/{comparison.run_id}")
    emit(
        output,
        f"{comparison_table(comparison)}\n\nRun: {link}",
        {**to_json(comparison), "run": link},
    )
