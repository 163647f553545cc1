"""Names, ranges and defaults of request parameters, the same at every entry point.

A parameter is known, harmless (it does not change the answer), unsupported (it would change the
answer, and is refused unless it is off) or unknown. ``null`` counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from llmops.engine.openai.errors import SHOWN, RequestError, shown
from llmops.engine.openai.turns import BROKEN, Strict, Text
from llmops.records import Sampling

MAX_ANSWERS = 128
"""Maximum of ``n``, the number of answers to one request."""
MAX_STOPS = 16
"""Maximum number of stop strings."""
SEEDS = 1 << 64
"""Number of different seeds."""
LOWEST_SEED = -(1 << 63)
NO_LIMIT = -1
"""The length that some clients send for an answer without a limit."""
ALIASES = {"max_completion_tokens": "max_tokens"}
"""OpenAI's newer names, and the names that they have here."""
HARMLESS = frozenset(
    {
        "cache_prompt",
        "cache_salt",
        "chat_id",
        "id",
        "include_reasoning",
        "keep_alive",
        "metadata",
        "model",
        "parallel_tool_calls",
        "priority",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "request_id",
        "safety_identifier",
        "service_tier",
        "session_id",
        "store",
        "user",
    }
)
"""Parameters that clients send and that do not change the answer."""
UNSUPPORTED = {
    "add_generation_prompt": "",
    "add_special_tokens": "",
    "audio": "",
    "bad_words": "",
    "best_of": "",
    "chat_template": "",
    "chat_template_kwargs": "",
    "continue_final_message": "",
    "do_sample": " (temperature 0 is greedy)",
    "documents": "",
    "dry_multiplier": "",
    "dynatemp_range": "",
    "echo": "",
    "enable_thinking": "",
    "extra_body": "",
    "frequency_penalty": "",
    "function_call": "",
    "functions": "",
    "guided_choice": "",
    "guided_grammar": "",
    "guided_json": "",
    "guided_regex": "",
    "ignore_eos": "",
    "include_stop_str_in_output": "",
    "length_penalty": "",
    "logit_bias": "",
    "logprobs": "",
    "max_new_tokens": " (use max_tokens)",
    "min_p": "",
    "min_tokens": "",
    "mirostat": "",
    "mm_processor_kwargs": "",
    "modalities": "",
    "num_beams": "",
    "prediction": "",
    "presence_penalty": "",
    "prompt_logprobs": "",
    "reasoning": "",
    "reasoning_effort": "",
    "repeat_penalty": "",
    "repetition_penalty": "",
    "response_format": "",
    "return_token_ids": "",
    "return_tokens_as_token_ids": "",
    "skip_special_tokens": "",
    "spaces_between_special_tokens": "",
    "stop_token_ids": " (use stop)",
    "structured_outputs": "",
    "suffix": "",
    "tfs_z": "",
    "think": "",
    "thinking": "",
    "tool_choice": "",
    "tools": "",
    "top_a": "",
    "top_k": "",
    "top_logprobs": "",
    "typical_p": "",
    "use_beam_search": "",
    "verbosity": "",
    "web_search_options": "",
    "xtc_probability": "",
}
"""Parameters that would change the answer, and what to use instead."""
OFF: dict[str, tuple[object, ...]] = {
    "best_of": (1,),
    "function_call": ("none", "auto"),
    "length_penalty": (1,),
    "modalities": (["text"],),
    "num_beams": (1,),
    "reasoning": ({"effort": "none"}, {"enabled": False}),
    "reasoning_effort": ("none",),
    "repeat_penalty": (1,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "tfs_z": (1,),
    "thinking": ({"type": "disabled"},),
    "tool_choice": ("none", "auto"),
    "top_k": (-1,),
    "typical_p": (1,),
    "verbosity": ("medium",),
}
"""Values, besides false, 0 and empty ones, at which an unsupported parameter has no effect."""
ON = dict.fromkeys(
    ("add_generation_prompt", "skip_special_tokens", "spaces_between_special_tokens"), (True,)
) | {"web_search_options": (False,)}
"""Values at which a parameter has no effect although its empty value would have one."""


class StreamOptions(Strict):
    """The contents of a stream besides the answer; an option that is off counts as absent."""

    include_usage: bool = False

    @classmethod
    def _is_absent(cls, key: object, value: object) -> bool:
        return value is None or (value is False and key != "include_usage")


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class Parameters(Strict):
    """The parameters with their defaults; each description completes "must be …" in an error."""

    max_tokens: int | None = Field(None, ge=1, description="a whole number of at least 1")
    temperature: float = Field(
        0.0, ge=0, le=2, allow_inf_nan=False, description="a number from 0 to 2"
    )
    top_p: float = Field(
        1.0, gt=0, le=1, allow_inf_nan=False, description="a number above 0, at most 1"
    )
    n: int = Field(1, ge=1, le=MAX_ANSWERS, description=f"a whole number from 1 to {MAX_ANSWERS}")
    seed: int | None = Field(
        None,
        ge=LOWEST_SEED,
        lt=LOWEST_SEED + SEEDS,
        description="a whole number from -2**63 to 2**63 - 1",
    )
    stop: Annotated[
        list[Annotated[Text, Field(min_length=1)]],
        BeforeValidator(_listed),
        Field(
            max_length=MAX_STOPS, description=f"a non-empty string, or up to {MAX_STOPS} of them"
        ),
    ] = []  # noqa: RUF012 - pydantic copies it
    stream: bool = Field(False, description="true or false")
    stream_options: StreamOptions | None = Field(None, description="{include_usage: true or false}")

    def samplings(self) -> tuple[Sampling, ...]:
        """Return the sampling of each of the ``n`` answers; their seeds are consecutive."""
        sampling = Sampling(
            self.max_tokens, self.temperature, self.top_p, self.seed, tuple(self.stop)
        )
        if self.seed is None:
            return (sampling,) * self.n
        return tuple(replace(sampling, seed=_after(self.seed, i)) for i in range(self.n))


NAMES = (*Parameters.model_fields, *ALIASES)
"""All names of supported parameters."""
INTEGERS = frozenset({"max_tokens", "max_completion_tokens", "n", "seed"})
"""Names of parameters that are whole numbers."""


def known(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that have an effect, without aliases.

    Args:
        given: Parameters of a request as a client sent them.

    Raises:
        RequestError: A parameter is unknown or not supported, or given twice with different values.
    """
    parameters: dict[str, Any] = {}
    for key, value in given.items():
        if value is None or key in HARMLESS or (key in UNSUPPORTED and _is_off(key, value)):
            continue
        if ALIASES.get(key, key) == "max_tokens" and value == NO_LIMIT:
            continue
        if key not in NAMES:
            raise RequestError(_unknown(key), param=str(key))
        name = ALIASES.get(key, key)
        if name in parameters and parameters[name] != value:
            aliases = ", ".join(alias for alias, of in ALIASES.items() if of == name)
            raise RequestError(
                f"{name}: two values, one of them as {aliases}; leave out one", param=name
            )
        parameters[name] = value
    return parameters


def read_parameters(given: Mapping[str, Any]) -> Parameters:
    """Read the values of parameters.

    Args:
        given: Parameters from ``known``.

    Raises:
        RequestError: A value has the wrong type or is out of range, or two parameters contradict
            each other.
    """
    try:
        read = Parameters.model_validate(given)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        if wrong["type"] == BROKEN:
            raise RequestError(f"{name}: {wrong['msg']}", param=name) from None
        allowed = Parameters.model_fields[name].description
        raise RequestError(
            f"{name}: must be {allowed}, received {shown(given[name])}", param=name
        ) from None
    if read.stream_options is not None and not read.stream:
        raise RequestError("stream_options: allowed only with stream: true", param="stream_options")
    if read.stream and read.n > 1:
        raise RequestError(f"n: must be 1 for a stream, received {read.n}", param="n")
    return read


def _is_off(name: str, value: object) -> bool:
    if name in ON:
        return value in ON[name]
    return not value or value in OFF.get(name, ())


def _unknown(name: object) -> str:
    if name in UNSUPPORTED:
        what = f"not supported{UNSUPPORTED[str(name)]}"
    else:
        close = get_close_matches(str(name), NAMES, n=1)
        what = f"unknown parameter{f' (did you mean {close[0]}?)' if close else ''}"
    printable = ascii(str(name)[:SHOWN])[1:-1]
    return f"{printable}: {what}; allowed: {', '.join(NAMES)}"


def _after(seed: int, steps: int) -> int:
    """Return the seed this many steps later; the lowest follows the highest."""
    return (seed + steps - LOWEST_SEED) % SEEDS + LOWEST_SEED
