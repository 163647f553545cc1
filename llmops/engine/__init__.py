"""Engines: text out of models. Everything above is typed against ``Engine`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from llmops.engine.protocol import Capabilities, Engine
from llmops.engine.requests import Key, Request, Turn
from llmops.errors import UsageError
from llmops.recipe.engine_names import ENGINES
from llmops.records import LoadOptions, Side

__all__ = ["Capabilities", "Engine", "Key", "Request", "Turn", "open_engine"]

DEFAULTS = LoadOptions()


def open_engine(name: str, sides: Sequence[Side], options: LoadOptions = DEFAULTS) -> Engine:
    """Open an engine that answers for some sides; only its own module is imported.

    Args:
        name: One of ``llmops.recipe.engine_names.ENGINES``.
        sides: What it loads or connects to.
        options: Precision, device, attention, quantization.

    Raises:
        UsageError: No engine has this name, or it cannot serve these sides together.
        LlmopsError: A side cannot be loaded, or a server does not start.
    """
    if name not in ENGINES:
        raise UsageError(f"engine {name!r}: unknown; allowed: {', '.join(ENGINES)}")
    module, _, factory = ENGINES[name].factory.partition(":")
    engine: Engine = getattr(import_module(module), factory)(sides, options=options)
    return engine
