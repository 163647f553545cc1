"""What MLflow's runs record about a version: its training, its data, and its evidence.

A field that was never recorded is ``None``, never a guess. Times are UTC, ISO 8601; links lead to
pages of MLflow's UI.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, TypeVar

from llmops.errors import LlmopsError
from llmops.models.pin import Pin
from llmops.records.lineage import Dataset, Evidence, Run
from llmops.store import artifacts, connection, runs
from llmops.store.tags import (
    DELTA,
    EVIDENCE,
    EVIDENCE_FILE,
    GIT_COMMIT,
    RECIPE_FILE,
    VERDICT,
    VERSUS,
    value,
)

PARAMS = ("method", "epochs", "max_steps", "batch_size", "learning_rate", "max_length", "seed")
METRICS = ("validation/loss", "train/loss", "train/tokens", "train/seconds")
MOST = 8
"""Maximum number of parameters, and of metrics, kept from a run that has none of the named."""
COMMITS = (GIT_COMMIT, "mlflow.source.git.commit")

Value = TypeVar("Value")


def training(run_id: str, run: Any | None) -> Run:
    """Return the record of a training run.

    Args:
        run_id: The run that the version names.
        run: MLflow's record of it, ``None`` if this store has none.
    """
    if run is None:
        return Run(id=run_id, params={}, metrics={})
    tags, link = run.data.tags, _page(run)
    metrics = _named(run.data.metrics, METRICS)
    has_recipe = artifacts.run_has_file(run_id, RECIPE_FILE)
    return Run(
        id=run_id,
        name=run.info.run_name,
        link=link,
        status=run.info.status,
        started=time(run.info.start_time),
        commit=next((tags[key] for key in COMMITS if tags.get(key)), None),
        program=_program(tags.get("mlflow.source.name")),
        recipe=f"{link}/artifacts/{RECIPE_FILE}" if has_recipe else None,
        params=_named(run.data.params, PARAMS),
        metrics={name: _finite(value) for name, value in metrics.items()},
        datasets=_datasets(run),
    )


def evidence(tags: Mapping[str, str], pin: Pin) -> Evidence | None:
    """Return the evidence that a version's tags name, ``None`` if no gate ever judged it.

    Args:
        tags: Tags of the version.
        pin: The version's pin, with the bytes that it has now.
    """
    verdict = value(tags, VERDICT)
    if verdict is None:
        return None
    short = tags.get(EVIDENCE, "")
    run_id = runs.run_of_evidence(short)
    run = runs.find_run(run_id) if run_id else None
    return Evidence(
        verdict=verdict,
        delta=value(tags, DELTA),
        versus=value(tags, VERSUS),
        digest=run.data.tags[EVIDENCE] if run else short or None,
        run_id=run_id,
        link=_page(run) if run else None,
        when=time(run.info.start_time) if run else None,
        other_bytes=_is_about_other_bytes(run_id, pin) if run_id else None,
    )


def _is_about_other_bytes(run_id: str, pin: Pin) -> bool | None:
    """Return whether a run's evidence names other bytes than a pin; ``None`` if it is unreadable."""
    try:
        judged = artifacts.read_json(run_id, EVIDENCE_FILE)["candidate"]
        found = (judged["base_digest"], judged["adapter_digest"])
    except (LlmopsError, ValueError, KeyError, TypeError):
        return None
    return found != (pin.digest, pin.adapter_digest)


def time(milliseconds: int | None) -> str | None:
    """Return a time of MLflow, in Unix milliseconds, as UTC text (ISO 8601)."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _datasets(run: Any) -> tuple[Dataset, ...]:
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return tuple(
        Dataset(
            name=item.dataset.name,
            digest=item.dataset.digest,
            context=next((t.value for t in item.tags if t.key == "mlflow.data.context"), None),
        )
        for item in inputs
    )


def _named(values: Mapping[str, Value], names: tuple[str, ...]) -> dict[str, Value]:
    """Return the values with these names; from a run with none of them, a few others."""
    known = [name for name in names if name in values]
    return {name: values[name] for name in known or sorted(values)[:MOST]}


def _finite(value: float) -> float | None:
    """Return ``None`` for infinity, which MLflow's SQL store keeps as the largest float."""
    return value if abs(value) < sys.float_info.max else None


def _program(source: str | None) -> str | None:
    """Return the name of the program, without its folder, which exists on one machine only."""
    return source if source is None or "://" in source else PurePath(source).name


def _page(run: Any) -> str:
    return connection.ui(f"/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
