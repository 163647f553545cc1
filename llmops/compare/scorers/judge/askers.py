"""The models that judge: behind a server, or loaded in this process."""

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
"""Maximum tokens of a reply: a sentence or two and the verdict. A cut reply counts as a failure."""


class Asker(Protocol):
    """A model that can be asked to judge."""

    @property
    def name(self) -> str:
        """Name in tables and warnings."""

    @property
    def digest(self) -> str:
        """SHA-256 of model and sampling; replies are cached under it."""

    @property
    def side(self) -> Side:
        """Model that judges."""

    def ask(self, prompts: Mapping[Key, Sequence[Message]]) -> Generator[tuple[Key, Answer]]:
        """Ask the model to answer prompts.

        Args:
            prompts: Key → conversation.

        Yields:
            The key of a prompt and its reply, in any order. A failed reply has ``error`` set.
        """


def load_judge(spec: str, *, max_tokens: int = MAX_TOKENS) -> Asker:
    """Return the judge that a name stands for.

    Args:
        spec: ``openai:URL#MODEL``, or a name that ``llmops.models.resolve`` accepts:
            ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, the name of a base.
        max_tokens: Maximum tokens of a reply.

    Raises:
        UsageError: The name has another form.
        NotFoundError: No such version.
        IntegrityError: The version's bytes differ from the recorded digests.
    """
    if spec.startswith(PREFIX):
        return HttpJudge(parse_endpoint(spec), max_tokens=max_tokens)
    connection.connect()
    return LocalJudge(resolve(spec), max_tokens=max_tokens)


class HttpJudge:
    """A judge behind a server of the OpenAI chat protocol.

    Its digest covers the server's address and the model's name, not the weights: if another model is
    served under the same name, cached replies of the earlier one are still used.

    Args:
        endpoint: Address of the server and name of the model.
        max_tokens: Maximum tokens of a reply.
        engine: Engine for the requests; by default one with the usual timeout and retries.
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
        """Ask the model to answer prompts; see ``Asker``.

        Raises:
            UsageError: The server has no such model, or refuses the key.
            ServeError: The server does not answer.
        """
        return self._engine.answer(
            [Request(self.side, prompt, self._sampling, key) for key, prompt in prompts.items()]
        )


class LocalJudge:
    """A registered version or base as a judge; it is loaded when it is first asked.

    Args:
        side: Files of the model.
        max_tokens: Maximum tokens of a reply.
        batch_size: Maximum number of prompts computed together.
    """

    def __init__(
        self, side: ModelFiles, *, max_tokens: int = MAX_TOKENS, batch_size: int | None = None
    ) -> None:
        self.side, self.name = side, side.uri
        self._batch_size, self._sampling = batch_size, Sampling(max_tokens=max_tokens)
        files = [side.base.digest, side.adapter_digest]
        self.digest = digest.of_record(["local", *files, asdict(self._sampling)])

    def ask(self, prompts: Mapping[Key, Sequence[Message]]) -> Generator[tuple[Key, Answer]]:
        """Ask the model to answer prompts; one that does not fit the context gets a failed reply."""
        requests = [
            Request(self.side, self._without_special(prompt), self._sampling, key)
            for key, prompt in prompts.items()
        ]
        return self._engine.answer(requests, batch_size=self._batch_size)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine("local", [self.side])

    def _without_special(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages without special tokens: a quoted one would end the user's turn."""
        return [
            {**turn, "content": self._special.sub(_broken, turn["content"])} for turn in messages
        ]

    @cached_property
    def _special(self) -> re.Pattern[str]:
        """Pattern of the texts that the tokenizer reads as special tokens."""
        tokenizer = ChatFormat.of(self.side).tokenizer
        added = (token for token in tokenizer.added_tokens_decoder.values() if token.special)
        texts = {*tokenizer.all_special_tokens, *map(str, added)}
        longest_first = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _broken(token: re.Match[str]) -> str:
    """Return the text of a special token with a space in it, which makes it ordinary text."""
    return f"{token[0][0]} {token[0][1:]}"
