"""Arguments of vLLM's server for a base model and its adapters, and those that a user may add."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from llmops.engine.vllm.environment import Environment
from llmops.errors import UsageError
from llmops.models import generation_config
from llmops.records import BaseModel

EMPTY_SLOTS = 1
"""Adapter slots that stay empty on a CPU. If a batch contains adapters, vLLM computes its prompts to
the base model with the last slot (vllm#48421), so this slot must hold no adapter."""
MAX_RANK = "--max-lora-rank"
SHORTEST = 3
"""Characters of the shortest option that is the beginning of another one."""
OURS = {
    "--api-key": "the key is new at each start, and no argument, which every account could read",
    "--host": "the server listens on loopback only; its clients reach it through the gateway",
    "--port": "a free port is chosen",
    "--uds": "the server is asked over loopback",
    "--ssl-": "the gateway has the certificate: -C tls_cert=FILE -C tls_key=FILE",
    "--model": "the version decides which model is loaded",
    "--served-model-name": "answers name the immutable version",
    "--enable-lora": "it is set if a version has an adapter",
    "--no-enable-lora": "it is set if a version has an adapter",
    "--lora-modules": "adapters are verified, and loaded under the name of their version",
    "--api-server-count": "adapters can be loaded later into one server process only",
    "--trust-remote-code": "code from a model is never run",
    "--config": "a file could set what is refused here; name each option",
}
"""Options that would break what this package relies on, each with the reason."""


def dtype_of(environment: Environment, dtype: str = "auto") -> str:
    """Return the dtype to compute in; ``auto`` is that of the comparison on the same device."""
    if dtype != "auto":
        return dtype
    return "float32" if environment.cpu else "bfloat16"


def base_arguments(
    base: BaseModel, dtype: str, names: Sequence[str], most: int | None = None
) -> list[str]:
    """Return the arguments for a base model.

    Args:
        base: The base, or a full model.
        dtype: See ``dtype_of``.
        names: Names under which it is served; answers carry the first.
        most: Maximum tokens of an answer whose request sets no maximum; ``None`` for as many as
            the context leaves.

    Raises:
        UsageError: The base has a setting that vLLM does not support.
    """
    return [
        *("--model", str(base.directory), "--served-model-name", *names),
        *("--dtype", dtype, *_generation(base.directory, most)),
        *("--uvicorn-log-level", "warning"),
    ]


def adapter_arguments(environment: Environment, slots: int, rank: int) -> list[str]:
    """Return the arguments for adapters.

    Args:
        environment: The environment with vLLM.
        slots: Number of adapters that are loaded together.
        rank: Highest rank, one of ``vllm_limits.VLLM_RANKS``.
    """
    slots += EMPTY_SLOTS if environment.cpu else 0
    return [
        *("--enable-lora", MAX_RANK, str(rank)),
        # Beyond either number vLLM would load adapters from disk again while it answers.
        *("--max-loras", str(slots), "--max-cpu-loras", str(slots)),
    ]


def module(name: str, adapter: Path) -> str:
    """Return the value of ``--lora-modules`` for an adapter that is loaded at the start."""
    return json.dumps({"name": name, "path": str(adapter)})


def check_given(arguments: Sequence[str]) -> None:
    """Refuse arguments of a user that would break what this package relies on.

    Raises:
        UsageError: There is such an argument, or the first is no option.
    """
    if arguments and not arguments[0].startswith("-"):
        raise UsageError(f"vLLM's argument {arguments[0]!r}: expected an option, such as --seed=1")
    if any("lmcache" in argument.lower() for argument in arguments):
        raise UsageError(
            "vLLM's arguments: LMCache stores what one adapter computed and uses it for the others"
            " (vllm#44250), so answers would mix versions"
        )
    for option in map(_option, arguments):
        if option is None or len(option) < SHORTEST:
            continue
        # A parser of Python also takes the beginning of an option for the option.
        refused = next((own for own in OURS if own.startswith(option) or _whole(own, option)), None)
        if refused is not None:
            raise UsageError(f"vLLM's option {option} cannot be set here: {OURS[refused]}")


def value(arguments: Sequence[str], name: str) -> str | None:
    """Return the value of an option among arguments, ``None`` if it is absent; the last one counts."""
    found = None
    for number, argument in enumerate(arguments):
        if _option(argument) == name:
            _, equals, after = argument.partition("=")
            following = arguments[number + 1] if number + 1 < len(arguments) else ""
            found = after if equals else following
    return found


def _whole(own: str, option: str) -> bool:
    return own.endswith("-") and option.startswith(own)


def _option(argument: str) -> str | None:
    """Return an argument's option as vLLM reads it: ``_`` for ``-``, ``.`` before a part of it."""
    if not argument.startswith("-"):
        return None
    return argument.partition("=")[0].partition(".")[0].replace("_", "-")


def _generation(base: Path, most: int | None) -> list[str]:
    """Return the arguments for the settings that ``LocalEngine`` also reads.

    These are in the base model's ``generation_config.json``; each request has the other settings.
    """
    settings = generation_config.of_model(base)
    if settings.suppressed:
        raise UsageError(
            f"{base / generation_config.FILE}: sets suppress_tokens, which vLLM does not support",
            next_command="use the engine `local`",
        )
    given = ["--generation-config", "vllm"]
    changed: dict[str, float] = {} if most is None else {"max_new_tokens": most}
    if settings.repetition_penalty != 1.0:
        changed["repetition_penalty"] = settings.repetition_penalty
    return [*given, "--override-generation-config", json.dumps(changed)] if changed else given
