"""Base models, training runs, versions, and where their files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


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
