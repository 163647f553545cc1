"""What MLflow's runs say about a version: how it was trained, on which data, and its evidence.

What nobody wrote down is ``None``, never a guess. Times are UTC, ISO 8601; links are pages of
MLflow's own UI.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, TypeVar

from llmops import artifacts, registry, store

PARAMS = ("method", "epochs", "max_steps", "batch_size", "learning_rate", "max_length", "seed")
METRICS = ("validation/loss", "train/loss", "train/tokens", "train/seconds")
MOST = 8
"""Parameters and metrics that are kept of a run that has none of those."""
COMMITS = ("llmops.git_commit", "mlflow.source.git.commit")
EVIDENCE = "llmops.evidence"
RECIPE_FILE = "recipe.yaml"

_HEX = re.compile(r"[0-9a-f]{8,64}")
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """An input of the training run."""

    name: str
    digest: str
    context: str | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run that logged a version; nothing but its id if this store does not have it.

    Attributes:
        commit: Of the code, ``-dirty`` where files differed from it.
        program: What was started, without its folder.
        recipe: Link to the resolved recipe.
        params: The most telling ones.
        metrics: Their last values; ``None`` for NaN and infinity.
    """

    id: str
    name: str | None = None
    link: str | None = None
    status: str | None = None
    started: str | None = None
    commit: str | None = None
    program: str | None = None
    recipe: str | None = None
    params: Mapping[str, str]
    metrics: Mapping[str, float | None]
    datasets: tuple[Dataset, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the gate wrote on a version, and the comparison that holds the whole of it.

    Attributes:
        delta: Difference of the policy's first metric, with its interval.
        versus: The baseline's label.
        digest: Of the evidence; its first digits if the comparison is not in this store.
    """

    verdict: str
    delta: str | None
    versus: str | None
    digest: str | None
    run_id: str | None
    link: str | None
    when: str | None


def training(run_id: str, run: Any | None) -> Run:
    """A training run.

    Args:
        run_id: What the version says.
        run: MLflow's record, ``None`` if this store has none.
    """
    if run is None:
        return Run(id=run_id, params={}, metrics={})
    tags, link = run.data.tags, _page(run)
    metrics = _telling(run.data.metrics, METRICS)
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
        params=_telling(run.data.params, PARAMS),
        metrics={name: _finite(value) for name, value in metrics.items()},
        datasets=_datasets(run),
    )


def evidence(tags: Mapping[str, str]) -> Evidence | None:
    """The evidence that a version's tags name, ``None`` if it was never judged."""
    if registry.VERDICT not in tags:
        return None
    short = tags.get(EVIDENCE, "")
    run_id = registry.run_with_tag(EVIDENCE, f"{short}%") if _HEX.fullmatch(short) else None
    run = registry.find_run(run_id) if run_id else None
    return Evidence(
        verdict=tags[registry.VERDICT],
        delta=tags.get("llmops.delta"),
        versus=tags.get("llmops.versus"),
        digest=run.data.tags[EVIDENCE] if run else short or None,
        run_id=run_id,
        link=_page(run) if run else None,
        when=time(run.info.start_time) if run else None,
    )


def time(milliseconds: int | None) -> str | None:
    """MLflow's time as text."""
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


def _telling(values: Mapping[str, Value], names: tuple[str, ...]) -> dict[str, Value]:
    """The named values; of a run that has none of them, a few others."""
    known = [name for name in names if name in values]
    return {name: values[name] for name in known or sorted(values)[:MOST]}


def _finite(value: float) -> float | None:
    """MLflow's SQL store keeps infinity as the largest float."""
    return value if abs(value) < sys.float_info.max else None


def _program(source: str | None) -> str | None:
    """What was started; its folder means nothing on another machine."""
    return source if source is None or "://" in source else PurePath(source).name


def _page(run: Any) -> str:
    return store.ui(f"/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
