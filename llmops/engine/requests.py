"""What is asked of an engine, and the token ids that come of it.

Requests to several sides may go together: each names its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from llmops.engine.chat_format import ChatFormat, Messages
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling, Side

DEFAULT_ANSWER_TOKENS = 512
"""Tokens of an answer whose request names no limit, if the context holds that many."""
Key = Hashable
"""What tells a request from the others of one call; its result carries it."""


@dataclass(frozen=True)
class Request:
    """A conversation, and the version that should answer it.

    Attributes:
        side: Which adapter, bare base or remote model answers.
        messages: With ``role`` and ``content``, or a text to continue.
        sampling: Length, temperature, stop strings.
        key: Unique among the requests of one call.
    """

    side: Side
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
        chat_format: Whose tokens they are.
        adapter: Name of the adapter that answers, ``None`` for the bare base.
        key: Of the request.
    """

    ids: list[int]
    sampling: Sampling
    chat_format: ChatFormat
    adapter: str | None = None
    key: Key = 0

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
    chat_format: ChatFormat
    adapter: str | None = None
    key: Key = 0

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the prompt, and of the response."""
        return len(self.prompt), len(self.response)


def prompt(request: Request, chat_format: ChatFormat, context: int) -> Prompt:
    """Render a request.

    Args:
        request: What is asked.
        chat_format: Of the request's side.
        context: Tokens that prompt and answer may have together.

    Raises:
        UsageError: The sampling is invalid, the prompt is empty or too long.
    """
    check_sampling(request.sampling)
    ids = chat_format.token_ids(chat_format.render(request.messages))
    if not ids:
        raise UsageError("the prompt is empty")
    room = max(1, context - len(ids))
    limit = request.sampling.max_tokens
    if limit is None:
        limit = min(DEFAULT_ANSWER_TOKENS, room)
    _check_fits(len(ids), limit, context, "the answer may have")
    sampling = replace(request.sampling, max_tokens=limit)
    return Prompt(ids, sampling, chat_format, request.side.adapter_digest, request.key)


def pair(turn: Turn, chat_format: ChatFormat, context: int) -> Pair:
    """Render a turn as the chat template writes it, end of turn included.

    Raises:
        UsageError: Prompt and response do not fit the context.
    """
    ids = chat_format.token_ids(chat_format.render(turn.messages))
    response = chat_format.token_ids(chat_format.turn(turn.messages, turn.response))
    _check_fits(len(ids), len(response), context, "the response has")
    return Pair(ids, response, chat_format, turn.side.adapter_digest, turn.key)


Asked = TypeVar("Asked", Request, Turn)
Rendered = TypeVar("Rendered", Prompt, Pair)


def render_all(
    asked: Sequence[Asked], render: Callable[[Asked], Rendered]
) -> tuple[list[Rendered], dict[Key, str]]:
    """Render requests or turns.

    Args:
        asked: With unique keys.
        render: Raises ``UsageError`` for one that cannot be computed.

    Returns:
        Those that can be computed, in their order; the key of each other, and the reason.
    """
    rendered: list[Rendered] = []
    refused: dict[Key, str] = {}
    for one in asked:
        try:
            rendered.append(render(one))
        except UsageError as error:
            refused[one.key] = error.message
    return rendered, refused


def failed(reason: str) -> Answer:
    """Return what stands for an answer that cannot be given."""
    return Answer("", 0, 0, "error", error=reason)


def check_keys(keys: Iterable[Key]) -> None:
    """Refuse requests whose results could not be told apart.

    Raises:
        UsageError: Two have the same key.
    """
    known: set[Key] = set()
    for key in keys:
        if key in known:
            raise UsageError(f"two requests have the key {key!r}: give each its own")
        known.add(key)


def check_requests(requests: Sequence[Request]) -> None:
    """Refuse requests that no engine answers.

    Raises:
        UsageError: A sampling is invalid, or two requests have the same key.
    """
    check_keys(request.key for request in requests)
    for request in requests:
        check_sampling(request.sampling)


def check_sampling(sampling: Sampling) -> None:
    """Refuse what cannot be generated.

    Raises:
        UsageError: A value is out of range.
    """
    limit, temperature, top_p = sampling.max_tokens, sampling.temperature, sampling.top_p
    for name, value, valid, allowed in (
        ("max_tokens", limit, limit is None or limit >= 1, "1 or more"),
        ("temperature", temperature, 0 <= temperature < float("inf"), "0 or more"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0, at most 1"),
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
