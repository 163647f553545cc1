"""Choose the engine for a version: vLLM where there is a GPU and vLLM can serve it, else torch."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from llmops.engine.vllm import memory
from llmops.engine.vllm.environment import PYTHON, find_environment
from llmops.errors import LlmopsError
from llmops.progress import say
from llmops.records import ModelFiles
from llmops.records.serving import Served
from llmops.serve.engines import vllm
from llmops.serve.engines.protocol import LOCAL, VLLM, EngineProcess, EngineSettings

PROCESSES = {
    LOCAL: "llmops.serve.engines.local:LocalProcess",
    VLLM: "llmops.serve.engines.vllm:VllmProcess",
}
"""Class of each engine's process; only the one that is started is imported."""


def engine_kind(settings: EngineSettings, files: ModelFiles) -> str:
    """Return the engine for a version, ``local`` or ``vllm``; with ``auto`` the choice is explained.

    Args:
        settings: ``engine`` is what the user asked for.
        files: The version.

    Raises:
        UsageError: The user asked for vLLM, which cannot serve the version.
        LlmopsError: The interpreter that the user named has no usable vLLM.
    """
    if settings.engine == LOCAL:
        return LOCAL
    if settings.engine == VLLM:
        vllm.check_servable(files, settings)
        return VLLM
    reason = _against_vllm(settings, files)
    if reason is None:
        say("engine vllm: there are a GPU and an environment with vLLM")
        return VLLM
    say(f"engine local: {reason}")
    return LOCAL


def open_process(kind: str, first: Served, settings: EngineSettings) -> EngineProcess:
    """Start an engine's process, wait until it is ready, and load a version.

    Args:
        kind: ``local`` or ``vllm``; see ``engine_kind``.
        first: The version.
        settings: How to start the process.

    Raises:
        LlmopsError: The process does not start, or refuses the version.
    """
    module, _, name = PROCESSES[kind].partition(":")
    process: EngineProcess = getattr(import_module(module), name)(first, settings)
    return process


def _against_vllm(settings: EngineSettings, files: ModelFiles) -> str | None:
    """Return why vLLM is not chosen, ``None`` if it is."""
    if settings.python is None and not os.environ.get(PYTHON):
        return f"no environment with vLLM is named (-C vllm=PYTHON or {PYTHON})"
    try:
        environment = find_environment(None if settings.python is None else Path(settings.python))
        if environment.cpu:
            return f"{environment.python} has a vLLM for CPUs; -C engine=vllm uses it"
        if not memory.cards(environment):
            return "there is no GPU that vLLM could use"
        vllm.check_servable(files, settings)
    except LlmopsError as error:
        if settings.python is not None and not isinstance(error, vllm.UnservableError):
            raise
        return error.message
    return None
