"""Lineage of a version: its base, adapter, training run and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset that a training run logged as input.

    Attributes:
        name: Name in MLflow.
        digest: Digest in MLflow, not necessarily SHA-256.
        context: Use, such as ``training``; ``None`` if not recorded.
    """

    name: str
    digest: str
    context: str | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run that logged a version; every field but ``id`` is empty if this store lacks the run.

    Attributes:
        id: Id of the MLflow run.
        name: Name of the run.
        link: Page of the run in MLflow.
        status: Status in MLflow, such as ``FINISHED``.
        started: Start time, UTC, ISO 8601.
        commit: Git commit of the code, with ``-dirty`` if files were changed; ``None`` if unknown.
        program: Program that was started, without its folder; ``None`` if unknown.
        recipe: Link to the resolved recipe; ``None`` without one.
        params: Main parameters.
        metrics: Last value of the main metrics; ``None`` for NaN and infinity.
        datasets: Inputs of the run.
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
    """Evidence that the gate recorded on a version. A field is ``None`` if it is not recorded.

    Attributes:
        verdict: Such as ``IMPROVED``.
        delta: Difference of the policy's first metric with its interval, as text.
        versus: Label of the baseline.
        digest: SHA-256 of the evidence; its first digits if the comparison is not in this store.
        run_id: MLflow run of the comparison.
        link: Page of that run in MLflow.
        when: Time of the comparison, UTC, ISO 8601.
        other_bytes: Whether it is about other bytes than the version has now; ``None`` if the
            evidence cannot be read.
    """

    verdict: str
    delta: str | None
    versus: str | None
    digest: str | None
    run_id: str | None
    link: str | None
    when: str | None
    other_bytes: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Base:
    """The base model of a version.

    Attributes:
        name: Name of the model.
        uri: Registered version with these bytes; ``None`` if this registry has none.
        digest: SHA-256 of configuration, weights and tokenizer.
        origin: First source of the bytes, see ``BaseModel``; ``None`` if not recorded.
        cached: Whether the files are on this machine.
        link: Page of ``uri`` in MLflow; ``None`` without a page.
    """

    name: str
    uri: str | None
    digest: str
    origin: str | None
    cached: bool
    link: str | None


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The adapter of a version. A number is ``None`` if it is not recorded.

    Attributes:
        digest: SHA-256 of the adapter.
        rank: LoRA rank.
        alpha: LoRA alpha; the output is scaled by alpha / rank.
        targets: Number of modules that it changes; ``None`` if a pattern selects them.
        size: Bytes, including the version's own tokenizer if it has one.
        unservable: Reason why vLLM cannot serve it; ``None`` if it can.
    """

    digest: str
    rank: int | None
    alpha: float | None
    targets: int | None
    size: int | None
    unservable: str | None


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Everything that a version was made of. A field is ``None`` if it is not recorded.

    Attributes:
        uri: ``models:/NAME/VERSION``, aliases resolved.
        kind: ``adapter``, ``full`` or ``base``.
        aliases: Aliases of the version, without ``@``.
        created: Time of registration, UTC, ISO 8601.
        link: Page of the version in MLflow.
        model_id: Id of its logged model.
        model_link: Page of its logged model.
        base: Base model; for a full model or a base, the model itself.
        adapter: Adapter; ``None`` for a full model or a base.
        data_digest: SHA-256 of the training data.
        recipe_digest: SHA-256 of the resolved recipe.
        run: Run that logged the version.
        evidence: Evidence of the latest decision on it.
        requirements: Package → version that the model was saved with.
    """

    uri: str
    kind: str
    aliases: tuple[str, ...]
    created: str | None
    link: str | None
    model_id: str | None
    model_link: str | None
    base: Base
    adapter: Adapter | None
    data_digest: str | None
    recipe_digest: str | None
    run: Run | None
    evidence: Evidence | None
    requirements: Mapping[str, str | None]
