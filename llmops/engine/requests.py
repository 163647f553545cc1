"""What is asked of an engine, and the token ids that come of it.

Requests to several sides may go together: each names its own.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from llmops.engine.chat_format import Messages, Voice
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling

DEFAULT_ANSWER_TOKENS = 512
"""Tokens of an answer whose request names no limit, if the context holds that many."""
Key = Hashable
"""What tells a request from the others of one call; its result carries it."""


@dataclass(frozen=True)
class Request:
    """A conversation, and the version that should answer it.

    Attributes:
        side: Which adapter (or the bare base) answers.
        messages: With ``role`` and ``content``, or a text to continue.
        sampling: Length, temperature, stop strings.
        key: Unique among the requests of one call.
    """

    side: ModelFiles
    messages: Messages | str
    sampling: Sampling
    key: Key = 0


@dataclass(frozen=True)
class Turn:
    """A given answer to a conversation, whose likelihood under one side is asked for."""

    side: ModelFiles
    messages: Messages
    response: str
    key: Key = 0


@dataclass(frozen=True)
class Prompt:
    """A request as the model reads it.

    Attributes:
        ids: Token ids of the rendered conversation.
        sampling: How it is continued; its ``max_tokens`` is a number.
        voice: Whose tokens they are.
        adapter: Name of the adapter that answers, ``None`` for the bare base.
    """

    ids: list[int]
    sampling: Sampling
    voice: Voice
    adapter: str | None = None

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the prompt, and of its answer at most."""
        return len(self.ids), self.max_tokens

    @property
    def max_tokens(self) -> int:
        """Tokens of the answer, at most."""
        assert self.sampling.max_tokens is not None, "resolved by `prompt`"
        return self.sampling.max_tokens


@dataclass(frozen=True)
class Pair:
    """A turn as the model reads it: token ids of the prompt and of the response."""

    prompt: list[int]
    response: list[int]
    voice: Voice
    adapter: str | None = None

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the prompt, and of the response."""
        return len(self.prompt), len(self.response)


def prompt(request: Request, voice: Voice, context: int) -> Prompt:
    """Renders a request.

    Args:
        request: What is asked.
        voice: Of the request's side.
        context: Tokens that prompt and answer may have together.

    Raises:
        UsageError: The sampling is invalid, the prompt is empty or too long.
    """
    check_sampling(request.sampling)
    ids = voice.token_ids(voice.render(request.messages))
    if not ids:
        raise UsageError("the prompt is empty")
    room = max(1, context - len(ids))
    limit = request.sampling.max_tokens
    if limit is None:
        limit = min(DEFAULT_ANSWER_TOKENS, room)
    _check_fits(len(ids), limit, context, "the answer may have")
    sampling = replace(request.sampling, max_tokens=limit)
    return Prompt(ids, sampling, voice, request.side.adapter_digest)


def pair(turn: Turn, voice: Voice, context: int) -> Pair:
    """Renders a turn as the chat template writes it, end of turn included.

    Raises:
        UsageError: Prompt and response do not fit the context.
    """
    ids = voice.token_ids(voice.render(turn.messages))
    response = voice.token_ids(voice.turn(turn.messages, turn.response))
    _check_fits(len(ids), len(response), context, "the response has")
    return Pair(ids, response, voice, turn.side.adapter_digest)


def failed(reason: str) -> Answer:
    """What stands for an answer that could not be had."""
    return Answer("", 0, 0, "error", error=reason)


def check_sampling(sampling: Sampling) -> None:
    """Refuses what cannot be generated.

    Raises:
        UsageError: A value is out of range.
    """
    limit = sampling.max_tokens
    for name, value, valid, allowed in (
        ("max_tokens", limit, limit is None or limit >= 1, "1 or more"),
        (
            "temperature",
            sampling.temperature,
            0 <= sampling.temperature < float("inf"),
            "0 or more",
        ),
        ("top_p", sampling.top_p, 0 < sampling.top_p <= 1, "above 0, at most 1"),
        ("stop", sampling.stop, all(sampling.stop), "texts that are not empty"),
    ):
        if not valid:
            raise UsageError(f"{name} is {value!r}; allowed: {allowed}")


def _check_fits(prompt: int, answer: int, context: int, what: str) -> None:
    if prompt + answer > context:
        raise UsageError(
            f"the prompt has {prompt} tokens and {what} {answer},"
            f" but the model's context is {context}"
        )
