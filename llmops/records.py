"""Frozen records that the stages hand to each other.

Stages never import one another; they exchange these. Times are seconds, sizes are bytes,
scores are in [0, 1], digests are hexadecimal SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from llmops import errors

Message = dict[str, str]


class Verdict(StrEnum):
    """What a comparison says about the candidate."""

    IMPROVED = "IMPROVED"
    NOT_WORSE = "NOT_WORSE"
    REGRESSED = "REGRESSED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class DataSplit:
    """One file of examples: JSON lines with ``id``, ``prompt``, ``completion``, ``group``."""

    name: str
    path: Path
    digest: str
    rows: int


@dataclass(frozen=True)
class PreparedData:
    """Three splits that share no group, written to files."""

    name: str
    source: str
    train: DataSplit
    validation: DataSplit
    test: DataSplit
    digest: str

    @property
    def splits(self) -> tuple[DataSplit, DataSplit, DataSplit]:
        """The splits in the order train, validation, test."""
        return (self.train, self.validation, self.test)


@dataclass(frozen=True)
class BaseModel:
    """A base model at rest in the local cache, pinned by content.

    Attributes:
        name: Registered model name.
        uri: ``models:/name/version``.
        digest: Of configuration, weights and tokenizer.
        directory: Where the verified files lie on this machine.
        origin: Where the bytes came from first: ``hub:OWNER/NAME@REVISION``, ``package:NAME``,
            ``directory:PATH``; ``None`` if nobody wrote it down.
    """

    name: str
    uri: str
    digest: str
    directory: Path
    origin: str | None = None


@dataclass(frozen=True)
class TrainResult:
    """A finished training run.

    Attributes:
        run_id: MLflow run that holds parameters, metrics and dataset inputs.
        adapter_dir: PEFT adapter directory (safetensors).
        steps: Optimizer steps, resumed ones included.
        tokens: Tokens seen, prompts included and padding excluded.
        seconds: Wall time of the training loop, all sittings together.
        peak_memory: Peak resident memory of this process in bytes.
        resumed_at: Step of the checkpoint this sitting began from, 0 if from the start.
    """

    run_id: str
    adapter_dir: Path
    base: BaseModel
    steps: int
    tokens: int
    seconds: float
    validation_loss: float
    peak_memory: int
    resumed_at: int


@dataclass(frozen=True)
class ModelVersion:
    """A registered version of a fine-tuned model."""

    name: str
    version: str
    model_id: str | None
    run_id: str | None
    adapter_digest: str | None
    """``None`` for a full model."""
    base_digest: str
    """Of the base, or of the full model itself."""

    @property
    def uri(self) -> str:
        """``models:/name/version``."""
        return f"models:/{self.name}/{self.version}"

    @property
    def digest(self) -> str:
        """What identifies the bytes that answer: adapter digest, or base digest."""
        return self.adapter_digest or self.base_digest


@dataclass(frozen=True)
class ModelFiles:
    """A side of a comparison or a deployment, resolved to verified files.

    Attributes:
        label: Short name for tables: ``v3`` or ``base``.
        uri: Immutable URI, aliases resolved.
        adapter_dir: ``None`` for the bare base and for a full model, which is its own base.
        adapter_digest: Of adapter and ``tokenizer_dir`` together; ``None`` without an adapter.
        model_id: LoggedModel id, ``None`` if the side is not a logged model.
        tokenizer_dir: The version's own tokenizer, chat template or generation configuration,
            ``None`` if it uses those of its base.
    """

    label: str
    uri: str
    base: BaseModel
    adapter_dir: Path | None
    adapter_digest: str | None
    model_id: str | None
    run_id: str | None = None
    tokenizer_dir: Path | None = None

    @property
    def digest(self) -> str:
        """What identifies the bytes that answer: adapter digest, or base digest."""
        return self.adapter_digest or self.base.digest


@dataclass(frozen=True)
class RemoteModel:
    """A side of a comparison behind a URL of the OpenAI protocol: its bytes are not known.

    Attributes:
        label: Short name for tables: what the server calls the model.
        uri: ``openai:URL#MODEL``.
        digest: Of the URI, which is all that identifies it.
    """

    label: str
    uri: str
    digest: str

    base: ClassVar[None] = None
    adapter_digest: ClassVar[None] = None
    model_id: ClassVar[None] = None


Side = ModelFiles | RemoteModel


@dataclass(frozen=True)
class Example:
    """One held-out prompt.

    Attributes:
        messages: The conversation; its last turn is the user's.
        expected: The wanted answer, ``None`` if there is none.
        cluster: Examples of one cluster are not independent (same module, same user).
        slices: Tags by which results are broken down, such as ``{"topic": "billing"}``.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    expected: str | None
    cluster: str
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """Held-out prompts, pinned by digest.

    Attributes:
        path: The file they were read from, ``None`` if they were in memory.
    """

    name: str
    path: Path | None
    digest: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Sampling:
    """How to generate.

    Attributes:
        temperature: 0 is greedy.
        seed: Makes sampled answers repeatable; has no effect on greedy ones.
        stop: Strings that end an answer and are cut from it.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadOptions:
    """How a model is brought into memory.

    Attributes:
        dtype: A torch dtype such as ``bfloat16``; ``auto`` is float32 on CPU, bfloat16 on CUDA.
        device: ``auto`` (CUDA if there is one), ``cpu``, ``cuda``, ``cuda:1``, or ``balanced``:
            spread over all GPUs.
        attention: ``eager``, ``sdpa``, ``flash_attention_2`` …; ``None`` lets transformers choose.
        quantization: ``8bit`` or ``4bit`` (bitsandbytes), ``None`` for none.
        base: A directory to take the base model from; its bytes must have the pinned digest.
    """

    dtype: str = "auto"
    device: str = "auto"
    attention: str | None = None
    quantization: str | None = None
    base: str | None = None


@dataclass(frozen=True)
class Answer:
    """What one side answered to one prompt.

    Attributes:
        tokens: Generated tokens, the end token included.
        prompt_tokens: Tokens of the rendered prompt.
        finish_reason: ``stop``, ``length``, or ``error``: there is no answer.
        error: Why there is none.
        seconds: Wall time of this answer alone; ``None`` if it was made in a batch with others.
    """

    text: str
    tokens: int
    prompt_tokens: int
    finish_reason: str
    error: str | None = None
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PairedTest:
    """A paired comparison of one metric; see ``llmops.stats.paired``.

    Attributes:
        difference: Mean of candidate minus baseline.
        low: Lower end of the two-sided confidence interval.
        high: Upper end.
        p_value: Two-sided, of the hypothesis that the mean difference is zero.
        n: Pairs.
        clusters: Independent clusters among them.
        detectable: Smallest true difference found with 80% power at this n.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    clusters: int
    wins: int
    ties: int
    losses: int
    confidence: float
    detectable: float


@dataclass(frozen=True)
class MetricResult:
    """One metric of both sides over the suite, with its paired test."""

    metric: str
    baseline: float
    candidate: float
    test: PairedTest


@dataclass(frozen=True)
class Row:
    """One prompt, both answers, all scores (metric → score in [0, 1])."""

    example: Example
    baseline: Answer
    candidate: Answer
    baseline_scores: Mapping[str, float]
    candidate_scores: Mapping[str, float]

    @property
    def failed(self) -> bool:
        """Whether neither side gave an answer, so that nothing can be compared."""
        return self.baseline.error is not None and self.candidate.error is not None


@dataclass(frozen=True)
class Comparison:
    """A finished comparison of two sides on one suite.

    Attributes:
        metrics: Over the rows that count: those where not both sides failed.
        rows: Of every prompt that was asked.
        method: See ``llmops.stats.sequential``.
        available: Prompts that could have been asked.
        nll: Mean negative log-likelihood per expected token, (baseline, candidate), in nats;
            ``None`` without expected answers, or if a side's weights are not here.
        notes: What a reader must know: identical bytes, identical outputs, failed prompts.
        trained: Rows of prompts that a side was trained on: no part of the metrics.
        run_id: MLflow parent run of the comparison.
    """

    baseline: Side
    candidate: Side
    suite_name: str
    suite_digest: str
    metrics: tuple[MetricResult, ...]
    rows: tuple[Row, ...]
    method: str
    available: int
    nll: tuple[float, float] | None
    notes: tuple[str, ...]
    seconds: float
    run_id: str
    experiment_id: str
    child_run_ids: tuple[str, str]
    trained: tuple[Row, ...] = ()
    slices: tuple[SliceResult | SmallSlice, ...] = ()

    def metric(self, name: str) -> MetricResult:
        """The result of one metric.

        Raises:
            KeyError: The comparison did not compute it.
        """
        for result in self.metrics:
            if result.metric == name:
                return result
        raise KeyError(name)


@dataclass(frozen=True)
class SliceResult:
    """The paired difference of one metric on one slice.

    Attributes:
        key: Name of the tag, such as ``topic``.
        value: Its value, such as ``billing``.
        n: Rows.
        difference: Mean of candidate minus baseline, in [-1, 1].
        low: Lower end of the two-sided interval; -1 if the slice is a single cluster.
        high: Upper end; 1 likewise.
        p_value: Two-sided, of "both sides are alike on this slice"; exact.
        p_adjusted: The same, all tested slices taken together: of the slices with at most q, a share
            of q is expected to be there by chance.
        wins: Rows that the candidate wins.
        ties: Rows without a difference.
        losses: Rows that the candidate loses.
    """

    key: str
    value: str
    n: int
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class SmallSlice:
    """A slice of too few rows to be tested.

    Attributes:
        key: Name of the tag.
        value: Its value.
        n: Rows.
    """

    key: str
    value: str
    n: int


@dataclass(frozen=True)
class Standing:
    """One side among several.

    Attributes:
        score: Mean of the first metric.
        result: That metric against the baseline; ``None`` for the baseline itself.
        p_holm: Its p-value, adjusted for the number of candidates.
        strength: Bradley-Terry strength (log odds against the average side) and its standard
            error; ``None`` if there is no common scale.
    """

    side: Side
    score: float
    result: MetricResult | None
    p_holm: float | None
    strength: tuple[float, float] | None


@dataclass(frozen=True)
class Check:
    """One requirement of the policy and what the comparison says of it."""

    metric: str
    must: str
    margin: float
    verdict: Verdict
    passed: bool | None
    """``None``: not decided by the data."""


@dataclass(frozen=True)
class Decision:
    """The gate's answer, with the evidence it rests on.

    Attributes:
        sentence: One line for people: verdict, versions, metric, difference.
        evidence: The record that binds the verdict to exact bytes.
        evidence_digest: SHA-256 of the canonical JSON of ``evidence``.
    """

    verdict: Verdict
    passed: bool
    checks: tuple[Check, ...]
    sentence: str
    evidence: Mapping[str, object] = field(repr=False)
    evidence_digest: str = ""

    @property
    def exit_code(self) -> int:
        """0 passed, 3 rejected, 4 inconclusive."""
        if self.passed:
            return errors.EXIT_OK
        if any(check.passed is False for check in self.checks):
            return errors.EXIT_REJECTED
        return errors.EXIT_INCONCLUSIVE


@dataclass(frozen=True)
class Deployment:
    """A running local endpoint.

    Attributes:
        model: Name that requests and responses carry: ``name/version``.
        endpoint: Base URL, ``http://host:port``.
    """

    name: str
    model: str
    uri: str
    endpoint: str
    pid: int
    created: float
    """Unix time."""
    log: Path
