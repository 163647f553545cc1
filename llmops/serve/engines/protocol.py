"""The interface between the gateway and the processes that generate text.

Each process answers the OpenAI protocol on loopback, with a key, for the versions of one base model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from llmops.records.serving import Served

LOCAL, VLLM, AUTO = "local", "vllm", "auto"


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How engine processes are started.

    Attributes:
        engine: ``auto``, ``local`` or ``vllm``.
        folder: Folder of the deployment, for logs.
        python: Interpreter of the environment with vLLM; ``None`` for that of ``LLMOPS_VLLM_PYTHON``.
        arguments: Further arguments of vLLM's server.
        merged: Whether a single version is merged into its base before it is served.
        memory: Share of the device's memory for vLLM; ``None`` takes it from what is free.
        max_tokens: Maximum tokens of an answer whose request sets no maximum; ``None`` for what
            the engine allows.
        adapters: Number of versions that are loaded together, one more during a swap.
    """

    engine: str = AUTO
    folder: Path
    python: str | None = None
    arguments: tuple[str, ...] = ()
    merged: bool = False
    memory: float | None = None
    max_tokens: int | None = None
    adapters: int = 4


class EngineProcess(Protocol):
    """A process that answers for the versions of one base model; its methods block."""

    @property
    def kind(self) -> str:
        """``local`` or ``vllm``."""
        ...

    @property
    def address(self) -> str:
        """URL without ``/v1``."""
        ...

    @property
    def key(self) -> str:
        """Key that requests must carry as ``Authorization: Bearer``."""
        ...

    @property
    def log(self) -> Path:
        """Log file of the process."""
        ...

    @property
    def pid(self) -> int:
        """Process id."""
        ...

    @property
    def base_digest(self) -> str:
        """SHA-256 of the base model, which is also its name for requests."""
        ...

    def load(self, served: Served) -> None:
        """Load another version of the same base under its name.

        Raises:
            LlmopsError: The process refuses the version; the message has the reason.
            ServeError: The process does not answer.
        """
        ...

    def unload(self, name: str) -> None:
        """Forget a version; requests that name it are refused from now on.

        Raises:
            ServeError: The process does not answer.
        """
        ...

    def check(self) -> None:
        """Check that the process runs.

        Raises:
            ServeError: It has ended; the message has the root cause.
        """
        ...

    def close(self) -> None:
        """End the process after the answers in progress; closing it again does nothing."""
        ...
