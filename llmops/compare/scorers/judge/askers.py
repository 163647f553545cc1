"""Who judges: any model that answers a conversation, over HTTP or in this process."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Protocol

from llmops.engine import Engine, Key, Request, open_engine
from llmops.engine.chat_format import ChatFormat
from llmops.engine.openai.endpoint import PREFIX, Endpoint, parse_endpoint, remote_model
from llmops.files import digest
from llmops.models.resolve import resolve
from llmops.records import Answer, Message, ModelFiles, Sampling, Side
from llmops.store import connection

MAX_TOKENS = 256
"""Of a reply: a sentence or two and the verdict. A cut reply counts as a failure."""


class Asker(Protocol):
    """A model that can be asked to judge."""

    @property
    def name(self) -> str:
        """What tables and warnings call it."""

    @property
    def digest(self) -> str:
        """Of all that decides its replies: model and sampling; replies are kept under it."""

    @property
    def side(self) -> Side:
        """The model."""

    def ask(self, prompts: Mapping[Key, Sequence[Message]]) -> Generator[tuple[Key, Answer]]:
        """Ask prompts.

        Args:
            prompts: A conversation for each key.

        Yields:
            Key and reply of each, in any order. A reply that cannot be had has ``error`` set.
        """


def load_judge(spec: str, *, max_tokens: int = MAX_TOKENS) -> Asker:
    """Make a judge of its name.

    Args:
        spec: ``openai:URL#MODEL``, or what ``llmops.models.resolve`` takes: ``models:/NAME/VERSION``,
            ``models:/NAME@ALIAS``, a base by its name.
        max_tokens: Length of a reply.

    Raises:
        UsageError: The name cannot be read.
        NotFoundError: No such version.
        IntegrityError: Its bytes differ from the recorded digests.
    """
    if spec.startswith(PREFIX):
        return HttpJudge(parse_endpoint(spec), max_tokens=max_tokens)
    connection.connect()
    return LocalJudge(resolve(spec), max_tokens=max_tokens)


class HttpJudge:
    """A judge behind a server of the OpenAI chat protocol.

    Its digest knows the server's address and the model's name, not its weights: where another model
    answers under the same name, replies of the earlier one stay in the cache.

    Args:
        endpoint: Where it is.
        max_tokens: Length of a reply.
        engine: How it is asked, by default with ``HttpEngine``'s timeout and retries.
    """

    def __init__(
        self, endpoint: Endpoint, *, max_tokens: int = MAX_TOKENS, engine: Engine | None = None
    ) -> None:
        self.side, self.name = remote_model(endpoint.uri), endpoint.model
        self._sampling = Sampling(max_tokens=max_tokens)
        place = [PREFIX, endpoint.url, endpoint.model]
        self.digest = digest.of_record([*place, asdict(self._sampling)])
        self._engine = engine or open_engine("openai", [self.side])

    def ask(self, prompts: Mapping[Key, Sequence[Message]]) -> Generator[tuple[Key, Answer]]:
        """See ``Asker``.

        Raises:
            UsageError: The server knows no such model, or refuses the key.
            ServeError: The server does not answer.
        """
        return self._engine.answer(
            [Request(self.side, one, self._sampling, key) for key, one in prompts.items()]
        )


class LocalJudge:
    """A version or a base of our own as a judge; it is loaded when it is first asked.

    Args:
        side: Its files.
        max_tokens: Length of a reply.
        batch_size: Prompts at once at most.
    """

    def __init__(
        self, side: ModelFiles, *, max_tokens: int = MAX_TOKENS, batch_size: int | None = None
    ) -> None:
        self.side, self.name = side, side.uri
        self._batch_size, self._sampling = batch_size, Sampling(max_tokens=max_tokens)
        files = [side.base.digest, side.adapter_digest]
        self.digest = digest.of_record(["local", *files, asdict(self._sampling)])

    def ask(self, prompts: Mapping[Key, Sequence[Message]]) -> Generator[tuple[Key, Answer]]:
        """See ``Asker``; a prompt that does not fit the context is a failed reply."""
        requests = [
            Request(self.side, self._tame(one), self._sampling, key) for key, one in prompts.items()
        ]
        return self._engine.answer(requests, batch_size=self._batch_size)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine("local", [self.side])

    def _tame(self, messages: Sequence[Message]) -> list[Message]:
        """Return messages without special tokens: a quoted one would end the user's turn."""
        return [
            {**turn, "content": self._special.sub(_broken, turn["content"])} for turn in messages
        ]

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """The texts that the tokenizer reads as special tokens."""
        tokenizer = ChatFormat.of(self.side).tokenizer
        added = (token for token in tokenizer.added_tokens_decoder.values() if token.special)
        texts = {*tokenizer.all_special_tokens, *map(str, added)}
        longest_first = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _broken(token: re.Match[str]) -> str:
    """Return a special token's text that is no longer one."""
    return f"{token[0][0]} {token[0][1:]}"
