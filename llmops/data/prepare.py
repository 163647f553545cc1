"""Examples collected, deduplicated, split by group and written to files."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

from scipy.cluster.hierarchy import DisjointSet

from llmops.data.sources.stdlib import stdlib_docstrings
from llmops.data.sources.table import read_table
from llmops.errors import DataError
from llmops.files import digest, home
from llmops.recipe.schema import Data
from llmops.records import DataSplit, PreparedData

Row = dict[str, str]
FEWEST_ROWS = 10
"""Minimum number of distinct examples: fewer leave a split with too little to train or test on."""
LARGE_SHARE = 0.25
"""Share of the test split above which a group counts as large, and is dealt last: in the test split
it would leave too little room for other, independent groups."""


def prepare(config: Data, directory: Path, *, name: str, seed: int) -> PreparedData:
    """Write the train, validation and test splits, each as one file of JSON lines.

    Args:
        config: The recipe's ``data`` section.
        directory: Folder for the files; created if needed.
        name: Name of the dataset in MLflow.
        seed: Seed of the split; the same seed and examples give the same bytes.

    Returns:
        The splits with their digests. No group and no text is in two of them.

    Raises:
        NotFoundError: The file ``data.path`` does not exist.
        DataError: The file cannot be read, or has too few rows or groups to split.

    Example:
        from pathlib import Path

        from llmops.data import prepare
        from llmops.recipe import load_recipe

        recipe = load_recipe(Path("recipes/quickstart/recipe.yaml"))
        data = prepare(recipe.data, Path("splits"), name=recipe.name, seed=recipe.seed)
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
            f"{source}: {len(rows)} distinct example(s), at least {FEWEST_ROWS} are needed for training and testing",
            next_command="add examples; a comparison needs a few hundred to show a difference",
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


def _refuse_repeated_ids(rows: list[Row], source: str) -> None:
    counts = Counter(row["id"] for row in rows)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise DataError(
            f"{source}: id {repeated[0]!r} occurs more than once; ids must be unique ({len(repeated)} repeated)"
        )


def _merge_groups(rows: list[Row]) -> list[Row]:
    """Merge groups that share a text, so that no copy of it is in another split.

    ``ntpath`` and ``posixpath``, for example, document the same functions with the same text.
    """
    joined = DisjointSet(row["group"] for row in rows)
    name = {group: group for group in joined}
    owner: dict[tuple[str, str], str] = {}
    for row in rows:
        for column in ("prompt", "completion"):
            first = owner.setdefault((column, row[column]), row["group"])
            kept = name[joined[first]]
            joined.merge(first, row["group"])
            name[joined[first]] = kept  # the name of the earlier text's group, whichever is larger
    return [{**row, "group": name[joined[row["group"]]]} for row in rows]


def _deduplicate(rows: list[Row]) -> list[Row]:
    """Return the first row with each prompt."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["prompt"], row)
    return list(first.values())


def _split(rows: list[Row], config: Data, seed: int, source: str) -> dict[str, list[Row]]:
    """Deal whole groups in shuffled order, large ones last, to test, else validation, else train."""
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
                next_command="use a data.group with more values, more examples, or a larger fraction",
            )
    return parts


def _write(path: Path, name: str, rows: list[Row]) -> DataSplit:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    home.write_whole(path, text, shared=True)  # the store gets a copy with the same permissions
    return DataSplit(name=name, path=path, digest=digest.of_bytes(text.encode()), rows=len(rows))
