"""Write replies of the OpenAI protocol: complete ones, and the chunks of a stream.

The tests read them with the types of the official client.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llmops.engine.logprobs import TokenLogprob
from llmops.engine.openai.logprobs import written
from llmops.records import Answer


class Reply:
    """A reply, whose parts all have the same id, time and model.

    Args:
        model: The version that answers, never the alias in the request.
        chat: Write a chat completion rather than a text completion.
    """

    def __init__(self, model: str, *, chat: bool = True) -> None:
        self._chat = chat
        prefix = "chatcmpl" if chat else "cmpl"
        self._head = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(
        self, answers: Sequence[Answer], logprobs: Sequence[Sequence[TokenLogprob]] | None = None
    ) -> dict[str, Any]:
        """Return the complete reply to a request without streaming.

        Args:
            answers: Answers to the same prompt, one for each choice.
            logprobs: The log-probabilities of each answer's tokens; ``None`` to leave them out.
        """
        kind = "chat.completion" if self._chat else "text_completion"
        choices = [
            self._choice(self._content(answer.text), answer.finish_reason, index)
            for index, answer in enumerate(answers)
        ]
        for choice, tokens in zip(choices, logprobs or [], strict=False):
            choice["logprobs"] = written(tokens, chat=self._chat)
        return {**self._head, "object": kind, "choices": choices, "usage": _usage(answers)}

    def chunks(
        self, pieces: Iterable[str | Answer], *, include_usage: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield the chunks of a streamed answer.

        Args:
            pieces: Pieces of text, then the ``Answer``.
            include_usage: End with the token counts.
        """
        yield from self.start()
        for piece in pieces:
            if isinstance(piece, Answer):
                yield from self.end(piece, include_usage=include_usage)
            else:
                yield self.piece(piece)

    def start(self) -> list[dict[str, Any]]:
        """Return the first chunk of a stream, which has the role; none for a text completion."""
        return [self._chunk({"role": "assistant", "content": ""})] if self._chat else []

    def piece(self, text: str) -> dict[str, Any]:
        """Return the chunk for a piece of text."""
        return self._chunk({"content": text}, text)

    def end(self, answer: Answer, *, include_usage: bool) -> list[dict[str, Any]]:
        """Return the last chunks of a stream: the finish reason, then token counts on request."""
        last = self._chunk({}, reason=answer.finish_reason)
        counts = {
            **self._head,
            "object": self._streamed(),
            "choices": [],
            "usage": _usage([answer]),
        }
        return [last, counts] if include_usage else [last]

    def _content(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}

    def _chunk(
        self, delta: Mapping[str, str], text: str = "", reason: str | None = None
    ) -> dict[str, Any]:
        content = {"delta": dict(delta)} if self._chat else {"text": text}
        choices = [self._choice(content, reason)]
        return {**self._head, "object": self._streamed(), "choices": choices}

    def _choice(
        self, content: Mapping[str, Any], reason: str | None, index: int = 0
    ) -> dict[str, Any]:
        return {"index": index, **content, "logprobs": None, "finish_reason": reason}

    def _streamed(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"


def _usage(answers: Sequence[Answer]) -> dict[str, int]:
    """Return the token counts; the prompt counts once, whatever the number of answers."""
    prompt, completion = answers[0].prompt_tokens, sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
