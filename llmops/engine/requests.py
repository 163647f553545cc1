"""Requests to an engine, and the token ids into which they are rendered.

One call may contain requests to several sides; each request names its side.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from llmops.engine.chat_format import ChatFormat, Messages
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling, Side

DEFAULT_ANSWER_TOKENS = 512
"""Maximum tokens of an answer whose request sets no ``max_tokens``, if they fit the context."""
Key = Hashable
"""The identifier of a request within one call; the result carries the same key."""


@dataclass(frozen=True)
class Request:
    """A conversation, and the version that should answer it.

    Attributes:
        side: The version, base model or server that answers.
        messages: Messages with ``role`` and ``content``, or a text to continue.
        sampling: Maximum length in tokens, temperature, top-p, seed and stop strings.
        key: Identifier, unique among the requests of one call.
        most: Maximum tokens of an answer whose sampling sets no maximum.

    Example:
        from llmops.engine import Request
        from llmops.models import resolve
        from llmops.records import Sampling

        side = resolve("models:/bot@champion")
        messages = [{"role": "user", "content": "What does os.path.split do?"}]
        request = Request(side, messages, Sampling(max_tokens=48), key="q1")
    """

    side: Side
    messages: Messages | str
    sampling: Sampling
    key: Key = 0
    most: int = DEFAULT_ANSWER_TOKENS


@dataclass(frozen=True)
class Turn:
    """A conversation with a given answer, whose likelihood a side should compute.

    Attributes:
        side: The version or base model that computes the likelihood.
        messages: Messages with ``role`` and ``content``.
        response: The answer, without special tokens.
        key: Identifier, unique among the turns of one call.

    Example:
        from llmops.engine import Turn
        from llmops.models import resolve

        side = resolve("models:/bot@champion")
        messages = [{"role": "user", "content": "What does os.path.split do?"}]
        turn = Turn(side, messages, "It splits a path into head and tail.", key="q1")
    """

    side: ModelFiles
    messages: Messages
    response: str
    key: Key = 0


@dataclass(frozen=True)
class Prompt:
    """A request as the model reads it.

    Attributes:
        ids: Token ids of the rendered conversation.
        sampling: Sampling of the answer; ``max_tokens`` is always a number.
        chat_format: Tokenizer and chat template that produced the ids.
        adapter: Name of the adapter that answers, ``None`` for the base model.
        key: Key of the request.
    """

    ids: list[int]
    sampling: Sampling
    chat_format: ChatFormat
    adapter: str | None = None
    key: Key = 0

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the prompt, and maximum tokens of its answer."""
        return len(self.ids), self.max_tokens

    @property
    def max_tokens(self) -> int:
        """Maximum tokens of the answer."""
        assert self.sampling.max_tokens is not None, "set by `prompt`"
        return self.sampling.max_tokens


@dataclass(frozen=True)
class Pair:
    """A turn as the model reads it.

    Attributes:
        prompt: Token ids of the rendered conversation.
        response: Token ids of the answer, including the end-of-turn tokens.
        chat_format: Tokenizer and chat template that produced the ids.
        adapter: Name of the adapter that computes, ``None`` for the base model.
        key: Key of the turn.
    """

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
    """Render a request to token ids.

    Args:
        request: The conversation and its sampling.
        chat_format: Tokenizer and chat template of the request's side.
        context: Tokens that prompt and answer may have together.

    Raises:
        UsageError: The sampling is invalid, or the prompt is empty or too long.
    """
    check_sampling(request.sampling)
    if not isinstance(request.messages, str):
        _check_size(len(request.messages), "messages", context, context)
    ids = _ids(chat_format.render(request.messages), chat_format, context)
    if not ids:
        raise UsageError("the prompt is empty")
    room = max(1, context - len(ids))
    limit = request.sampling.max_tokens
    if limit is None:
        limit = min(request.most, room)
    _check_fits(len(ids), limit, context, "the answer may have")
    sampling = replace(request.sampling, max_tokens=limit)
    return Prompt(ids, sampling, chat_format, request.side.adapter_digest, request.key)


def pair(turn: Turn, chat_format: ChatFormat, context: int) -> Pair:
    """Render a turn to token ids as the chat template writes it, including the end of turn.

    Raises:
        UsageError: Prompt and response together exceed the context.
    """
    ids = _ids(chat_format.render(turn.messages), chat_format, context)
    response = _ids(chat_format.turn(turn.messages, turn.response), chat_format, context)
    _check_fits(len(ids), len(response), context, "the response has")
    return Pair(ids, response, chat_format, turn.side.adapter_digest, turn.key)


Unrendered = TypeVar("Unrendered", Request, Turn)
Rendered = TypeVar("Rendered", Prompt, Pair)


def render_all(
    requests: Sequence[Unrendered], render: Callable[[Unrendered], Rendered]
) -> tuple[list[Rendered], dict[Key, str]]:
    """Render requests or turns.

    Args:
        requests: Requests or turns with unique keys.
        render: Renders one of them, or raises ``UsageError`` if it cannot be computed.

    Returns:
        The rendered ones in the given order, and the reason for each other one by its key.
    """
    rendered: list[Rendered] = []
    refused: dict[Key, str] = {}
    for request in requests:
        try:
            rendered.append(render(request))
        except UsageError as error:
            refused[request.key] = error.message
    return rendered, refused


def failed(reason: str) -> Answer:
    """Return the empty answer to a request that cannot be answered, with the reason as ``error``."""
    return Answer("", 0, 0, "error", error=reason)


def check_keys(keys: Iterable[Key]) -> None:
    """Refuse requests whose results could not be distinguished.

    Raises:
        UsageError: Two requests have the same key.
    """
    known: set[Key] = set()
    for key in keys:
        if key in known:
            raise UsageError(f"two requests have the key {key!r}; keys must be unique")
        known.add(key)


def check_requests(requests: Sequence[Request]) -> None:
    """Refuse requests that no engine can answer.

    Raises:
        UsageError: A sampling is invalid, or two requests have the same key.
    """
    check_keys(request.key for request in requests)
    for request in requests:
        check_sampling(request.sampling)


def check_sampling(sampling: Sampling) -> None:
    """Refuse a sampling that no engine can follow.

    Raises:
        UsageError: A value is out of range.
    """
    limit, temperature, top_p = sampling.max_tokens, sampling.temperature, sampling.top_p
    for name, value, valid, allowed in (
        ("max_tokens", limit, limit is None or limit >= 1, "1 or more"),
        ("temperature", temperature, 0 <= temperature < float("inf"), "0 or more"),
        ("top_p", top_p, 0 < top_p <= 1, "above 0, at most 1"),
        ("stop", sampling.stop, all(sampling.stop), "non-empty strings"),
    ):
        if not valid:
            raise UsageError(f"{name} is {value!r}; allowed: {allowed}")


def _ids(text: str, chat_format: ChatFormat, context: int) -> list[int]:
    """Return the token ids of a text; refuse, before that takes minutes, one that cannot fit."""
    _check_size(len(text), "characters", context * chat_format.longest_token, context)
    return chat_format.token_ids(text)


def _check_size(size: int, what: str, most: int, context: int) -> None:
    """Refuse a prompt or a response that cannot fit, before the work of rendering or tokenising it."""
    if size > most:
        raise UsageError(
            f"the prompt or the response has {size:,} {what}; more than {most:,} do not fit into the"
            f" model's context of {context} tokens"
        )


def _check_fits(prompt: int, answer: int, context: int, what: str) -> None:
    if prompt + answer > context:
        raise UsageError(
            f"the prompt has {prompt} tokens and {what} {answer},"
            f" but the model's context is {context}"
        )
