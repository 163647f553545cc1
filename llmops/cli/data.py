"""``llmops data``: the first stage of a recipe alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from llmops.cli.options import columns, emit, output_option, read_recipe, recipe_argument


@click.command("data")
@recipe_argument
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="data",
    show_default=True,
    help="Folder for the three files.",
)
@output_option
def command(recipe: str, overrides: tuple[str, ...], out: Path, output: str) -> None:
    """Collect the data of RECIPE and write the train, validation and test splits.

    Says what became of every row: labels, duplicates, columns that nothing reads.

    Example: llmops data quickstart --out splits
    """
    resolved = read_recipe(recipe, overrides)
    from llmops.data import account, prepare

    prepared = prepare(resolved.data, out, name=resolved.name, seed=resolved.seed)
    rows = [
        (split.name, str(split.rows), str(split.path), split.digest[:12])
        for split in prepared.splits
    ]
    record = {
        "digest": prepared.digest,
        "summary": asdict(prepared.summary),
        "splits": [
            {"name": s.name, "rows": s.rows, "path": str(s.path), "digest": s.digest}
            for s in prepared.splits
        ],
    }
    table = columns([("split", "rows", "file", "digest"), *rows])
    emit(
        output, "\n".join([table, *([""] if (lines := account(prepared)) else []), *lines]), record
    )
