"""Base models, training runs, versions, and the places of their files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

BARE_BASE = "base"
"""Label of a base model as a side."""

_REGISTERED = re.compile(r"models:/([^/@]+/[0-9]+)")


def identity(base_digest: str, adapter_digest: str | None) -> str:
    """Return the digest that identifies what answers: of the base, or of base and adapter together.

    The same adapter over another base is another model.

    Args:
        base_digest: SHA-256 of the base, or of the full model.
        adapter_digest: SHA-256 of the adapter; ``None`` without an adapter.
    """
    if adapter_digest is None:
        return base_digest
    return hashlib.sha256(f"{base_digest}\n{adapter_digest}".encode()).hexdigest()


@dataclass(frozen=True)
class BaseModel:
    """A base model in the local cache, pinned by content.

    Attributes:
        name: Name of the registered model.
        uri: ``models:/NAME/VERSION``.
        digest: SHA-256 of configuration, weights and tokenizer.
        directory: Folder of the verified files on this machine.
        origin: First source of the bytes: ``hub:OWNER/NAME@REVISION``, ``package:NAME`` or
            ``directory:NAME``; ``None`` if not recorded.
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
        run_id: MLflow run with parameters, metrics and dataset inputs.
        adapter_dir: Folder of the PEFT adapter (safetensors).
        base: Base model that was trained.
        steps: Number of optimizer steps, those before a resume included.
        tokens: Number of tokens seen, prompts included and padding excluded.
        seconds: Wall time of the training loop, summed over all sessions.
        validation_loss: Last validation loss, in nats per completion token.
        peak_memory: Peak resident memory of this process in bytes.
        resumed_at: Step of the checkpoint from which this session resumed; 0 from the start.
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
    """A registered version of a fine-tuned model.

    Attributes:
        name: Name of the registered model.
        version: Version number, as text.
        model_id: Id of the logged model; ``None`` if there is none.
        run_id: MLflow run that logged the version; ``None`` if there is none.
        adapter_digest: SHA-256 of the adapter; ``None`` for a full model.
        base_digest: SHA-256 of the base, or of the full model itself.
    """

    name: str
    version: str
    model_id: str | None
    run_id: str | None
    adapter_digest: str | None
    base_digest: str

    @property
    def uri(self) -> str:
        """URI ``models:/NAME/VERSION``."""
        return f"models:/{self.name}/{self.version}"

    @property
    def digest(self) -> str:
        """Digest that identifies the version: of base and adapter together."""
        return identity(self.base_digest, self.adapter_digest)


@dataclass(frozen=True)
class ModelFiles:
    """A side of a comparison or a deployment, resolved to verified files.

    Attributes:
        label: Short name for tables, such as ``v3`` or ``base``.
        uri: Immutable URI, aliases resolved.
        base: Base model.
        adapter_dir: Folder of the adapter; ``None`` for a base or a full model, which is its own
            base.
        adapter_digest: SHA-256 of adapter and ``tokenizer_dir`` together; ``None`` without an
            adapter.
        model_id: Id of the logged model; ``None`` if the side is not a logged model.
        run_id: MLflow run that logged the version; ``None`` if there is none.
        tokenizer_dir: Folder of the version's own tokenizer, chat template or generation
            configuration; ``None`` if it uses those of its base.
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
        """Digest that identifies the side: of base and adapter together."""
        return identity(self.base.digest, self.adapter_digest)

    @property
    def name(self) -> str:
        """Name that says which model: ``bot/3``, the name of a base, or else the label."""
        if self.label == BARE_BASE:
            return self.base.name
        registered = _REGISTERED.fullmatch(self.uri)
        return registered[1] if registered else self.label


@dataclass(frozen=True)
class RemoteModel:
    """A side of a comparison that answers by the OpenAI protocol at a URL; its bytes are unknown.

    Attributes:
        label: Short name for tables, the server's name of the model.
        uri: ``openai:URL#MODEL``.
        digest: SHA-256 of the URI, its only identification.
        base: Always ``None``.
        adapter_digest: Always ``None``.
        model_id: Always ``None``.
    """

    label: str
    uri: str
    digest: str

    base: ClassVar[None] = None
    adapter_digest: ClassVar[None] = None
    model_id: ClassVar[None] = None

    @property
    def name(self) -> str:
        """Name that says which model: the server's."""
        return self.label


Side = ModelFiles | RemoteModel
"""A version, a base model or a server that answers in a comparison."""


@dataclass(frozen=True)
class LoadOptions:
    """Options for loading a model into memory.

    Attributes:
        dtype: Torch dtype such as ``bfloat16``; ``auto`` is float32 on CPU, bfloat16 on CUDA.
        device: ``auto`` (CUDA if available), ``cpu``, ``cuda``, ``cuda:1``, or ``balanced`` over
            all GPUs.
        attention: ``eager``, ``sdpa``, ``flash_attention_2`` …; ``None`` lets transformers choose.
        quantization: ``8bit`` or ``4bit`` (bitsandbytes); ``None`` without quantization.
        base: Folder of the base model, whose bytes must have the pinned digest; ``None`` searches
            for the base.
    """

    dtype: str = "auto"
    device: str = "auto"
    attention: str | None = None
    quantization: str | None = None
    base: str | None = None
