"""Engines generate text: torch in this process, a vLLM server, or any OpenAI-compatible server.

All of them implement ``Engine``, the only type that other packages depend on.
"""

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
"""Options of an engine that is opened without any."""


def open_engine(name: str, sides: Sequence[Side], options: LoadOptions = DEFAULTS) -> Engine:
    """Open an engine for one or more sides; only the module of this engine is imported.

    Args:
        name: ``local``, ``vllm`` or ``openai``.
        sides: What the engine loads or connects to. ``local`` and ``vllm`` load sides that share
            one base model; ``openai`` connects to one model behind a URL.
        options: Precision, device, attention, quantization. ``vllm`` takes only ``dtype``;
            ``openai`` ignores them, as its server has already loaded the model.

    Returns:
        The engine, ready to answer. Close it to free its memory and to end its server.

    Raises:
        UsageError: The name is unknown, an option is not supported, or one engine cannot serve
            these sides together.
        NotFoundError: No environment with vLLM exists on this machine.
        IntegrityError: The base model is incomplete, or an adapter does not fit it.
        ServeError: The vLLM server does not start.
        LlmopsError: The device has too little memory for the model.

    Example:
        from contextlib import closing

        from llmops.engine import Request, open_engine
        from llmops.models import resolve
        from llmops.records import Sampling

        side = resolve("models:/bot@champion")
        messages = [{"role": "user", "content": "What does os.path.split do?"}]
        requests = [Request(side, messages, Sampling(max_tokens=48), key="q1")]
        with closing(open_engine("local", [side])) as engine:
            for key, answer in engine.answer(requests):
                print(key, answer.error or answer.text)
    """
    if name not in ENGINES:
        raise UsageError(f"engine {name!r}: unknown; allowed: {', '.join(ENGINES)}")
    module, _, factory = ENGINES[name].factory.partition(":")
    engine: Engine = getattr(import_module(module), factory)(sides, options=options)
    return engine
