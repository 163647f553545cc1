"""What a gateway does; it records that, and other processes read it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import psutil

from llmops.records.serving import Proof

SAME_START_SECONDS = 2.0
"""Seconds by which start times of a process may differ: they move when the clock is set."""


@dataclass(frozen=True)
class Started:
    """A process, told from a later one with the same number by its start time.

    Attributes:
        pid: Process id.
        created: Start time, Unix time in seconds.
    """

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Started | None:
        """Return a process that runs now, ``None`` if it has ended."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def alive(self) -> psutil.Process | None:
        """Return the process, ``None`` if it ended, even if its number is used again."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a gateway.

    Attributes:
        phase: What it is doing, such as ``loading bot@v8``; empty if nothing.
        uri: URI of the current version; empty while there is none.
        model: Name of the current version, such as ``bot@v7``.
        proof: Evidence for the current version; ``None`` without.
        engine: ``local`` or ``vllm``; ``None`` before one is chosen.
        processes: The engines and other processes that the gateway started.
        control: Address of the control server.
        token: The token that the control server demands.
        note: Why the deployment is not as asked although it answers.
        error: Why the gateway ended.
        next_command: What to do about the error.
    """

    phase: str = ""
    uri: str = ""
    model: str = ""
    proof: Proof | None = None
    engine: str | None = None
    processes: tuple[Started, ...] = ()
    control: str | None = None
    token: str | None = None
    note: str | None = None
    error: str | None = None
    next_command: str | None = None

    def to_json(self) -> str:
        """Return the status as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Status:
        """Return the status that ``to_json`` wrote.

        Raises:
            ValueError: The text is not JSON.
            TypeError: A field is missing or unknown.
        """
        record: dict[str, Any] = json.loads(text)
        proof = record.pop("proof", None)
        processes = tuple(Started(**one) for one in record.pop("processes", ()))
        return cls(proof=proof and Proof(**proof), processes=processes, **record)
