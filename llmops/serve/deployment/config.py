"""What a user asked of a deployment; it is kept, so that ``restart`` needs no arguments."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from llmops.serve.engines.protocol import AUTO

REFUSE, ALLOW = "refuse", "allow"
MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of a deployment.

    Attributes:
        name: Name of the deployment; requests may use it as the model's name.
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``, as the user gave it.
        follow: Whether the deployment follows the alias.
        host: Address to listen on.
        port: Port to listen on.
        engine: ``auto``, ``local`` or ``vllm``.
        unproven: ``refuse`` or ``allow`` versions without evidence about their bytes.
        cors: Origins of pages that may ask from a browser.
        tls_cert: File with the TLS certificate; ``None`` for plain HTTP.
        tls_key: File with the certificate's private key.
        vllm: Interpreter of the environment with vLLM.
        vllm_args: Further arguments of vLLM's server.
        merged: Whether the version is merged into its base before it is served.
        memory: Share of the device's memory for vLLM; ``None`` takes it from what is free.
        queue: Requests that may wait; further ones are refused.
        concurrency: Requests that an engine answers together; ``None`` for the engine's default.
        max_tokens: Most tokens that a request may ask for, and that an answer has without a limit.
        max_body: Most bytes of a request's body.
        stall: Seconds between two events of a stream after which the answer counts as broken off.
        traces: Whether answers are recorded as traces in MLflow.
        trace_sample: Share of the answers that are recorded.
        trace_content: Whether traces contain prompts and answers.
        redact: ``MODULE:FUNCTION`` that changes a trace's prompt and answer before it is recorded.
        experiment: Experiment of the traces; ``None`` for ``NAME-serving``.
        key_hash: SHA-256 of the key that was in ``LLMOPS_API_KEY``.
    """

    name: str
    uri: str
    follow: bool
    host: str
    port: int
    engine: str = AUTO
    unproven: str = REFUSE
    cors: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    vllm: str | None = None
    vllm_args: tuple[str, ...] = ()
    merged: bool = False
    memory: float | None = None
    queue: int = 128
    concurrency: int | None = None
    max_tokens: int = 4096
    max_body: int = MEBIBYTE
    stall: float = 20.0
    traces: bool = True
    trace_sample: float = 1.0
    trace_content: bool = True
    redact: str | None = None
    experiment: str | None = None
    key_hash: str | None = None

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the settings that ``to_json`` wrote."""
        record: dict[str, Any] = json.loads(text)
        for name in ("cors", "vllm_args"):
            record[name] = tuple(record[name])
        return cls(**record)
