"""A suite: held-out prompts from a file, a DataFrame or an MLflow dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmops.compare.suite.rows import SLICE, read_example
from llmops.errors import DataError, NotFoundError, UsageError
from llmops.files import digest
from llmops.files.tables import read_records
from llmops.records import Example, Suite

SOURCES = "a file, a pandas DataFrame or an MLflow dataset of pandas or Hugging Face rows"

Places = Iterable[tuple[str, Mapping[str, Any]]]


def load_suite(source: str | Path | Any, *, name: str | None = None) -> Suite:
    """Reads held-out prompts.

    A row has ``messages`` or ``prompt`` and, optionally, ``id`` (made from the content if
    absent), ``expected`` (or ``completion``), ``cluster`` (or ``group``) and ``slice.NAME``.

    Args:
        source: UTF-8 file (``.jsonl``, ``.json``, ``.csv``) or ``.parquet``; a pandas DataFrame;
            an MLflow dataset: of ``mlflow.data``, or an evaluation dataset of ``mlflow.genai``.
        name: Name of the dataset in MLflow; by default the file's or the dataset's own.

    Returns:
        The examples in the order of the rows. The digest is that of the file's bytes, or of the
        examples where there is no file.

    Raises:
        NotFoundError: No such file.
        DataError: Empty, unreadable, repeated ids, or a row that is no example; it is named.
        UsageError: The source is none of these.
    """
    if isinstance(source, (str, Path)):
        return _of_file(Path(source), name)
    own_name, rows = _in_memory(source)
    title = name or own_name
    examples = _examples(f"suite {title}", rows)
    record = [asdict(example) for example in examples]
    return Suite(name=title, path=None, digest=digest.of_record(record), examples=examples)


def _of_file(path: Path, name: str | None) -> Suite:
    try:
        examples = _examples(f"suite {path}", read_records(path))
    except NotFoundError as error:
        raise NotFoundError(f"suite {error.message}") from error
    return Suite(name=name or path.stem, path=path, digest=digest.of_file(path), examples=examples)


def _examples(where: str, rows: Places) -> tuple[Example, ...]:
    """Examples with distinct ids."""
    places: dict[str, str] = {}
    examples = []
    for place, row in rows:
        example = read_example(place, row)
        if example.id in places:
            raise DataError(
                f"{where}: id {example.id!r} occurs more than once: {places[example.id]} and {place}",
                next_command="drop one of them, or give each row an `id` of its own",
            )
        places[example.id] = place
        examples.append(example)
    if not examples:
        raise DataError(f"{where}: holds no prompts")
    return tuple(examples)


def _in_memory(source: Any) -> tuple[str, Places]:
    """Name and rows of a DataFrame or an MLflow dataset."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return "suite", _numbered("suite", _records(source))
    from mlflow.data.dataset import Dataset
    from mlflow.entities import EvaluationDataset

    if not isinstance(source, (Dataset, EvaluationDataset)):
        raise UsageError(f"suite: expected {SOURCES}, received {type(source).__name__}")
    name = str(source.name)
    if hasattr(source, "to_df"):  # mlflow.genai.datasets
        return name, _numbered(name, map(_evaluation_row, _records(source.to_df())))
    return name, _numbered(name, _dataset_rows(source))


def _numbered(name: str, rows: Iterable[Mapping[str, Any]]) -> Places:
    return ((f"{name}: row {number}", row) for number, row in enumerate(rows, 1))


def _records(frame: Any) -> list[dict[str, Any]]:
    """Rows of a DataFrame, its several kinds of empty cell as ``None``."""
    cells = frame.astype(object)
    rows: list[dict[str, Any]] = cells.where(frame.notna(), None).to_dict(orient="records")
    return rows


def _dataset_rows(dataset: Any) -> Iterable[Mapping[str, Any]]:
    """Rows of an ``mlflow.data`` dataset; its column of targets is what is expected."""
    if hasattr(dataset, "ds") and hasattr(dataset.ds, "to_list"):
        rows: list[dict[str, Any]] = dataset.ds.to_list()
    elif hasattr(dataset, "df") and hasattr(dataset.df, "notna"):
        rows = _records(dataset.df)
    else:
        raise UsageError(f"suite: expected {SOURCES}, received {type(dataset).__name__}")
    targets = getattr(dataset, "targets", None)
    if targets is None or targets in ("expected", "completion"):
        return rows
    return ({**row, "expected": row[targets]} for row in rows)


def _evaluation_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record of ``mlflow.genai.datasets`` as a row; MLflow's own tags are no slices."""
    inputs, wanted, tags = row["inputs"] or {}, row["expectations"] or {}, row["tags"] or {}
    slices = {f"{SLICE}{key}": tags[key] for key in tags if not key.startswith("mlflow.")}
    return {
        **inputs,
        "id": row["dataset_record_id"],
        "expected": wanted.get("expected_response", wanted.get("expected")),
        **slices,
    }
