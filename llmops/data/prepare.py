"""Collect, deduplicate, split by group, write."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

from scipy.cluster.hierarchy import DisjointSet

from llmops.data.sources.stdlib import stdlib_docstrings
from llmops.data.sources.table import read_table
from llmops.errors import DataError
from llmops.files import digest, home, jsonl
from llmops.recipe.schema import Data
from llmops.records import DataSplit, PreparedData

Row = dict[str, str]
FEWEST_ROWS = 10
"""Below this no split is left with something to learn from and something to test on."""
LARGE_SHARE = 0.25
"""A group that would fill more of the test split leaves too few independent ones beside it."""


def prepare(config: Data, directory: Path, *, name: str, seed: int) -> PreparedData:
    """Writes train, validation and test files.

    Args:
        config: The recipe's ``data`` section.
        directory: Where the files go; created.
        name: Name of the dataset in MLflow.
        seed: Decides which groups go where; same seed, same bytes.

    Returns:
        The splits with their digests. No group and no text is in two of them.

    Raises:
        DataError: Unreadable, too few rows, or too few groups to split.
    """
    source = "python standard library" if config.source == "stdlib_docstrings" else str(config.path)
    rows = stdlib_docstrings() if config.source == "stdlib_docstrings" else read_table(config)
    _refuse_repeated_ids(rows, source)
    rows = _deduplicate(_merge_groups(rows))
    if config.limit is not None:
        rows = sorted(
            random.Random(seed).sample(rows, min(config.limit, len(rows))), key=lambda r: r["id"]
        )
    if len(rows) < FEWEST_ROWS:
        raise DataError(
            f"{source}: {len(rows)} distinct example(s), at least {FEWEST_ROWS} are needed to train and to test",
            next_command="add examples; a few hundred make a difference that can be shown",
        )
    directory.mkdir(parents=True, exist_ok=True)
    parts = _split(rows, config, seed, source)
    splits = [_write(directory / f"{part}.jsonl", part, rows_) for part, rows_ in parts.items()]
    train, validation, test = splits
    return PreparedData(
        name=name,
        source=source,
        train=train,
        validation=validation,
        test=test,
        digest=digest.of_record({split.name: split.digest for split in splits}),
    )


def read_split(split: DataSplit) -> list[Row]:
    """The rows of a written split."""
    return jsonl.read(split.path)


def _refuse_repeated_ids(rows: list[Row], source: str) -> None:
    counts = Counter(row["id"] for row in rows)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise DataError(
            f"{source}: id {repeated[0]!r} occurs more than once ({len(repeated)} such ids)"
        )


def _merge_groups(rows: list[Row]) -> list[Row]:
    """Joins groups that share a text, so that a copy cannot sit on both sides of the split.

    ``ntpath`` and ``posixpath``, for example, document the same functions in the same words.
    """
    joined = DisjointSet(row["group"] for row in rows)
    name = {group: group for group in joined}
    owner: dict[tuple[str, str], str] = {}
    for row in rows:
        for column in ("prompt", "completion"):
            first = owner.setdefault((column, row[column]), row["group"])
            kept = name[joined[first]]
            joined.merge(first, row["group"])
            name[joined[first]] = kept  # the earlier text's, whichever group is larger
    return [{**row, "group": name[joined[row["group"]]]} for row in rows]


def _deduplicate(rows: list[Row]) -> list[Row]:
    """Keeps the first of rows with the same prompt."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["prompt"], row)
    return list(first.values())


def _split(rows: list[Row], config: Data, seed: int, source: str) -> dict[str, list[Row]]:
    """Deals whole groups, in shuffled order, to test, then validation, then train; large ones last."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    names.sort(key=lambda name: len(groups[name]) > LARGE_SHARE * config.test_fraction * len(rows))
    wanted = {
        "test": round(config.test_fraction * len(rows)),
        "validation": round(config.validation_fraction * len(rows)),
    }
    parts: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for name in names:
        fits = [
            part for part, size in wanted.items() if len(parts[part]) + len(groups[name]) <= size
        ]
        parts[fits[0] if fits else "train"] += groups[name]
    for part, dealt in parts.items():
        if not dealt:
            raise DataError(
                f"{source}: {len(rows)} examples in {len(groups)} group(s) leave the {part} split empty",
                next_command="use a finer data.group, more examples, or a larger fraction",
            )
    return parts


def _write(path: Path, name: str, rows: list[Row]) -> DataSplit:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    home.write_whole(path, text)
    return DataSplit(name=name, path=path, digest=digest.of_bytes(text.encode()), rows=len(rows))
