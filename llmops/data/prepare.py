"""Examples collected, deduplicated, split and written to files, with an account of every row."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from llmops.data.groups import asked, dealt, joined, lasting, same, shuffled
from llmops.data.labels import labels, stratified
from llmops.data.sources.stdlib import stdlib_docstrings
from llmops.data.sources.table import Table, read_table
from llmops.errors import DataError
from llmops.files import digest, home
from llmops.recipe.data import Data
from llmops.records import DataSplit, DataSummary, PreparedData

Row = dict[str, Any]
Parts = dict[str, list[Row]]
FEWEST_ROWS = 10
"""Minimum number of distinct examples: fewer leave a split with too little to train or test on."""


def prepare(config: Data, directory: Path, *, name: str, seed: int) -> PreparedData:
    """Write the train, validation and test splits, each as one file of JSON lines.

    Rows are split one by one, or as whole groups (``data.group``). Labels are spread over the splits.

    Args:
        config: The recipe's ``data`` section.
        directory: Folder for the files; created if needed.
        name: Name of the dataset in MLflow.
        seed: Seed of the split; the same seed and examples give the same bytes.

    Returns:
        The splits, and what became of the rows. No group, prompt or long free answer is in two.

    Raises:
        NotFoundError: The file ``data.path`` or ``data.test.path`` does not exist.
        DataError: The file cannot be read, has too few rows or groups to split, or one answer only.

    Example:
        from pathlib import Path

        from llmops.data import prepare
        from llmops.recipe import load_recipe

        recipe = load_recipe(Path("recipes/quickstart/recipe.yaml"))
        data = prepare(recipe.data, Path("splits"), name=recipe.name, seed=recipe.seed)
    """
    source, table = _collected(config)
    rows, summary = _deduplicated(table, source)
    rows = _limited(rows, config.limit, seed)
    test: list[Row] | None = None
    if config.test is not None:
        test, rows, summary = _own_test(config.test.path, config, rows, summary)
    _refuse_few(rows, source, len(summary.leaked))
    parts, summary = _split(rows, test, config, seed, source, summary)
    directory.mkdir(parents=True, exist_ok=True)
    splits = [_write(directory / f"{part}.jsonl", part, rows_) for part, rows_ in parts.items()]
    train, validation, held_out = splits
    return PreparedData(
        name=name,
        source=source,
        train=train,
        validation=validation,
        test=held_out,
        digest=digest.of_record({split.name: split.digest for split in splits}),
        summary=summary,
    )


def _collected(config: Data) -> tuple[str, Table]:
    """Return the name of the source, and its examples."""
    if config.source == "stdlib_docstrings":
        # One function may be in two modules under the same text, such as ntpath and posixpath.
        return "python standard library", Table(joined(stdlib_docstrings(), answers_from=0), ())
    path = Path(str(config.path))
    return str(path), read_table(config, path)


def _deduplicated(table: Table, source: str) -> tuple[list[Row], DataSummary]:
    """Return the first row with each prompt, and an account of the others."""
    _refuse_repeated_ids(table.rows, source)
    first: dict[str, Row] = {}
    contradictions = []
    for row in table.rows:
        kept = first.setdefault(asked(row), row)
        if kept["completion"] != row["completion"]:
            contradictions.append(row["id"])
    summary = DataSummary(
        read=len(table.rows),
        duplicates=len(table.rows) - len(first),
        contradictions=tuple(contradictions),
        unread=table.unread,
    )
    return list(first.values()), summary


def _limited(rows: list[Row], limit: int | None, seed: int) -> list[Row]:
    if limit is None:
        return rows
    drawn = random.Random(seed).sample(rows, min(limit, len(rows)))
    return sorted(drawn, key=lambda row: str(row["id"]))


def _own_test(
    path: Path, config: Data, rows: list[Row], summary: DataSummary
) -> tuple[list[Row], list[Row], DataSummary]:
    """Read the own test file, and take its prompts out of the other rows."""
    test, about = _deduplicated(read_table(config, path, "data.test.path"), str(path))
    held_out = {same(row) for row in test}
    kept: list[Row] = []
    leaked: list[Row] = []
    for row in rows:
        (leaked if same(row) in held_out else kept).append(row)
    return (
        _renamed(test, {row["id"] for row in kept}),
        kept,
        replace(
            summary,
            read=summary.read + about.read,
            duplicates=summary.duplicates + about.duplicates,
            contradictions=(*summary.contradictions, *about.contradictions),
            leaked=tuple(row["id"] for row in leaked),
        ),
    )


def _renamed(rows: list[Row], taken: set[str]) -> list[Row]:
    """Give each row whose id is taken one that no row of either file has."""
    ids = {row["id"] for row in rows} | taken
    renamed = []
    for row in rows:
        name = row["id"]
        while name in taken or (name != row["id"] and name in ids):
            name = f"test-{name}"
        ids.add(name)
        renamed.append({**row, "id": name})
    return renamed


def _split(
    rows: list[Row],
    test: list[Row] | None,
    config: Data,
    seed: int,
    source: str,
    summary: DataSummary,
) -> tuple[Parts, DataSummary]:
    """Split the rows, and say what the splits have of the labels."""
    known = labels(rows)
    if known is not None and len(known) == 1:
        raise DataError(
            f"{source}: every row has the same answer, {next(iter(known))[:60]!r}: there is nothing to"
            " learn",
            next_command="add conversations with other answers"
            if config.messages
            else "llmops data RECIPE data.completion=COLUMN, a column with other answers",
        )
    alone = len({row["group"] for row in rows}) == len(rows)  # a conversation stays whole
    order = partial(shuffled, seed=seed)
    if config.source == "file":
        rows = joined(rows) if known is None else joined(rows, answers_from=None)
        order = partial(lasting, seed=seed, named=config.group is not None)
    fractions = {"test": config.test_fraction, "validation": config.validation_fraction}
    if test is not None:
        del fractions["test"]
    groups = len({row["group"] for row in rows})
    by_label = known is not None and alone
    parts = stratified(rows, fractions, seed) if by_label else dealt(rows, fractions, order)
    parts = {
        "train": parts["train"],
        "validation": parts["validation"],
        "test": test or parts["test"],
    }
    _refuse_empty(parts, rows, groups, config, source)
    learnt = {row["completion"] for row in parts["train"]}
    unseen = {row["completion"] for row in parts["test"]} - learnt if known is not None else ()
    return parts, replace(
        summary,
        labels=None if known is None else len(known),
        unseen=tuple(sorted(unseen)),
        groups=None if groups == len(rows) else groups,
    )


def _refuse_repeated_ids(rows: Sequence[Row], source: str) -> None:
    counts = Counter(row["id"] for row in rows)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise DataError(
            f"{source}: id {repeated[0]!r} occurs more than once; ids must be unique ({len(repeated)} repeated)",
            next_command="number the rows in `id`, or rename that column: then their order counts",
        )


def _refuse_few(rows: Sequence[Row], source: str, leaked: int) -> None:
    if len(rows) < FEWEST_ROWS:
        but = f" ({leaked:,} more have a prompt of the test file)" if leaked else ""
        raise DataError(
            f"{source}: {len(rows)} distinct example(s){but}, at least {FEWEST_ROWS} are needed for"
            " training and testing",
            next_command="llmops data RECIPE data.test.path=FILE, a file with other prompts"
            if leaked
            else "add examples; a comparison needs a few hundred to show a difference",
        )


def _refuse_empty(
    parts: Parts, rows: Sequence[Row], groups: int, config: Data, source: str
) -> None:
    for part, dealt_ in parts.items():
        if dealt_:
            continue
        grouped = config.group is not None
        raise DataError(
            f"{source}: {len(rows)} examples in {groups} group(s) leave the {part} split empty",
            next_command=f"llmops data RECIPE data.group=COLUMN, a column with more values than"
            f" {config.group!r}, or none"
            if grouped
            else "add examples, or set larger data.test_fraction and data.validation_fraction",
        )


def _write(path: Path, name: str, rows: list[Row]) -> DataSplit:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    home.write_whole(path, text, shared=True)  # the store gets a copy with the same permissions
    return DataSplit(name=name, path=path, digest=digest.of_bytes(text.encode()), rows=len(rows))
