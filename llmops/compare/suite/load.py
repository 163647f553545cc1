"""Loading of a suite: held-out prompts from a file, a DataFrame or an MLflow dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmops.compare.suite.genai import plain_rows
from llmops.compare.suite.rows import read_example
from llmops.errors import DataError, NotFoundError, UsageError
from llmops.files import digest
from llmops.files.tables import read_records
from llmops.records import Example, Suite

SOURCES = (
    "a file, a pandas DataFrame, a list of dictionaries or an MLflow dataset of pandas or Hugging"
    " Face rows"
)

Places = Iterable[tuple[str, Mapping[str, Any]]]


def load_suite(source: str | Path | Any, *, name: str | None = None) -> Suite:
    """Read a suite of held-out prompts.

    A row has ``prompt`` or ``messages`` and, optionally, ``id`` (by default made from the content),
    ``expected`` (or ``completion``), ``cluster`` (or ``group``) and ``slice.NAME``; or ``inputs`` and
    ``expectations``, as MLflow's evaluation data has them.

    Args:
        source: UTF-8 file (``.jsonl``, ``.json``, ``.csv``) or ``.parquet`` file; a pandas
            DataFrame; a list of dictionaries; a dataset of ``mlflow.data``; or an evaluation dataset
            of ``mlflow.genai``.
        name: Name of the dataset in MLflow; by default that of the file or dataset.

    Returns:
        The examples in the order of the rows. The digest is that of the file's bytes, or of the
        examples if there is no file.

    Raises:
        NotFoundError: The file does not exist.
        DataError: The source is empty or unreadable, an id occurs twice, or a row is not an
            example; the message names the row.
        UsageError: The source is of another type.

    Example:
        import pandas as pd

        from llmops.compare import load_suite

        rows = [{"prompt": "2 + 2 = ?", "expected": "4", "slice.topic": "sums"}]
        suite = load_suite(pd.DataFrame(rows), name="arithmetic")
        print(len(suite.examples), suite.digest)
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
        raise NotFoundError(
            f"suite {error.message}",
            next_command="llmops data RECIPE --out data  (writes the suite data/test.jsonl)",
        ) from error
    return Suite(name=name or path.stem, path=path, digest=digest.of_file(path), examples=examples)


def _examples(where: str, rows: Places) -> tuple[Example, ...]:
    """Return examples with distinct ids, in the order of their rows."""
    places: dict[str, str] = {}
    examples = []
    for place, row in plain_rows(rows):
        example = read_example(place, row)
        if example.id in places:
            raise DataError(
                f"{where}: id {example.id!r} occurs more than once: {places[example.id]} and {place}",
                next_command="remove one of them, or give each row its own `id`",
            )
        places[example.id] = place
        examples.append(example)
    if not examples:
        raise DataError(f"{where}: contains no prompts")
    return tuple(examples)


def _in_memory(source: Any) -> tuple[str, Places]:
    """Return name and rows of a DataFrame, a list or an MLflow dataset."""
    import pandas as pd

    if isinstance(source, (list, tuple)) and all(isinstance(row, Mapping) for row in source):
        return "suite", _numbered("suite", source)
    if isinstance(source, pd.DataFrame):
        return "suite", _numbered("suite", _records(source))
    from mlflow.data.dataset import Dataset
    from mlflow.entities import EvaluationDataset

    if not isinstance(source, (Dataset, EvaluationDataset)):
        raise UsageError(f"suite: expected {SOURCES}, received {type(source).__name__}")
    name = str(source.name)
    if hasattr(source, "to_df"):  # mlflow.genai.datasets
        return name, _numbered(name, _records(source.to_df()))
    return name, _numbered(name, _dataset_rows(source))


def _numbered(name: str, rows: Iterable[Mapping[str, Any]]) -> Places:
    return ((f"{name}: row {number}", row) for number, row in enumerate(rows, 1))


def _records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a DataFrame, with ``None`` for every kind of empty cell."""
    cells = frame.astype(object)
    rows: list[dict[str, Any]] = cells.where(frame.notna(), None).to_dict(orient="records")
    return rows


def _dataset_rows(dataset: Any) -> Iterable[Mapping[str, Any]]:
    """Return the rows of an ``mlflow.data`` dataset; its targets are the expected answers."""
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
