"""Engines by name: which there are, what they can do, and where they are implemented.

A new engine is one module and one entry in ``ENGINES``: recipes, the command line and
``llmops.engine.open_engine`` read their choices here.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmops.errors import UsageError


@dataclass(frozen=True)
class EngineEntry:
    """What is known of an engine before it is opened.

    Attributes:
        factory: ``MODULE:NAME`` of what makes one, called with the sides and ``options=``.
        likelihood: It computes the log-likelihood of given answers.
        in_process: It computes in this process: a request that it refuses, it always refuses. A
            server may do better next time.
        remote: It asks models behind a URL, whose files are not here.
    """

    factory: str
    likelihood: bool = False
    in_process: bool = False
    remote: bool = False


ENGINES = {
    "local": EngineEntry(
        "llmops.engine.local.engine:LocalEngine", likelihood=True, in_process=True
    ),
    "vllm": EngineEntry("llmops.engine.vllm.engine:VllmEngine"),
    "openai": EngineEntry("llmops.engine.openai.engine:open_remote", remote=True),
}


def selectable() -> list[str]:
    """Return the names of engines that load the files of a version."""
    return [name for name, entry in ENGINES.items() if not entry.remote]


def check(name: str) -> None:
    """Refuse a name of which no engine loads the files of a version.

    Raises:
        UsageError: The name is unknown, or the engine asks models behind a URL.
    """
    if name not in selectable():
        raise UsageError(f"engine {name!r}: unknown; allowed: {', '.join(selectable())}")
