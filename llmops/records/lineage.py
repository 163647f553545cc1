"""Where a version comes from: its base, its adapter, its training run, its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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


@dataclass(frozen=True, kw_only=True)
class Base:
    """The weights underneath.

    Attributes:
        uri: Registered version with these bytes, in this registry.
        origin: See ``records.BaseModel``.
        cached: Whether the files are on this machine.
        link: Page of ``uri`` in MLflow.
    """

    name: str
    uri: str | None
    digest: str
    origin: str | None
    cached: bool
    link: str | None


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What a version adds to its base.

    Attributes:
        targets: How many modules it changes; ``None`` if a pattern chooses them.
        size: Bytes, a tokenizer of its own included.
        unservable: Why vLLM does not serve it; ``None`` if it does.
    """

    digest: str
    rank: int | None
    alpha: float | None
    targets: int | None
    size: int | None
    unservable: str | None


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Everything that one version was made of.

    Attributes:
        uri: Without an alias.
        kind: ``adapter``, ``full`` or ``base``.
        created: When it was registered; UTC, ISO 8601.
        link: Its page in MLflow.
        model_link: Page of its logged model.
        base: Of a full model or a base: the model itself.
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
