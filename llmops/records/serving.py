"""What a deployment serves: a version under its immutable name, with the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmops.records.models import ModelFiles


@dataclass(frozen=True)
class Proof:
    """Evidence about exactly the bytes of a version, which passed its gate.

    Attributes:
        digest: SHA-256 of the evidence.
        verdict: Such as ``IMPROVED``.
        run_id: MLflow run of the comparison.
    """

    digest: str
    verdict: str
    run_id: str


@dataclass(frozen=True)
class Served:
    """A version as engines and answers name it.

    Attributes:
        name: ``NAME@vVERSION``. A name stands for the same bytes for ever.
        files: The verified files of the version.
        proof: The evidence for it; ``None`` if it is served without.
    """

    name: str
    files: ModelFiles
    proof: Proof | None


@dataclass(frozen=True)
class Deployment:
    """A background process on this machine that answers the OpenAI protocol.

    Attributes:
        name: Name of the deployment, by which requests may name the model.
        model: Name of the served version in responses, such as ``bot@v7``; empty while none is.
        uri: URI of the served version, such as ``models:/bot/7``.
        endpoint: Base URL, ``http://HOST:PORT`` or ``https://HOST:PORT``.
        pid: Process id of the gateway; 0 before it starts.
        created: Start time of that process, Unix time in seconds.
        log: Log file of the gateway.
        source: URI that was asked for, such as ``models:/bot@champion``.
        follow: Whether the deployment follows the alias in ``source``.
        engine: ``local`` or ``vllm``; what was asked for while none runs.
        proof: Evidence for the served version; ``None`` if it is served without.
        certificate: File with the TLS certificate; ``None`` for plain HTTP.
        doing: What the gateway is doing, such as ``loading bot@v8``; empty if nothing.
        note: Why the deployment is not as asked, such as a version that was refused.
    """

    name: str
    model: str
    uri: str
    endpoint: str
    pid: int
    created: float
    log: Path
    source: str = ""
    follow: bool = False
    engine: str = "auto"
    proof: Proof | None = None
    certificate: str | None = None
    doing: str = ""
    note: str | None = None


def served_name(uri: str) -> str:
    """Return the name by which engines and answers know a version, such as ``bot@v7``.

    Args:
        uri: ``models:/NAME/VERSION``.
    """
    name, _, version = uri.removeprefix("models:/").rpartition("/")
    return f"{name}@v{version}"
