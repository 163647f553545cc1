"""The parts of a deployment that other rooms provide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmops.serve.deployment.config import Config
from llmops.serve.gateway.hooks import Guard, Keyless, Recorder, Unrecorded
from llmops.serve.gateway.versions.fetch import Fetch
from llmops.serve.gateway.versions.follow import Lookup
from llmops.serve.gateway.versions.swap import Open


def _ignore(*given: Any, **changes: Any) -> None:
    pass


@dataclass
class Parts:
    """What a deployment is made of; whatever other rooms provide comes in here.

    Attributes:
        config: The settings.
        fetch: Returns a version by its URI; it blocks.
        open_process: Starts an engine with a version; it blocks.
        lookup: Returns the version of a model's alias; it blocks.
        versions: Versions that one engine may hold, besides one that is coming.
        guard: Decides who may ask.
        recorder: Keeps records of what was asked and answered.
        report: Called in a thread with what changed: ``phase``, ``uri``, ``model``, ``proof``,
            ``engine``, ``processes``, ``control``, ``token``, ``note``.
        retarget: Called in a thread with the URI that an update asked for, and ``follow``.
    """

    config: Config
    fetch: Fetch
    open_process: Open
    lookup: Lookup
    versions: int = 4
    guard: Guard = field(default_factory=Keyless)
    recorder: Recorder = field(default_factory=Unrecorded)
    report: Callable[..., None] = _ignore
    retarget: Callable[..., None] = _ignore

    def close(self) -> None:
        """Hand on what is queued and free what is held, once the deployment has ended."""
        self.recorder.close()
        self.guard.close()
