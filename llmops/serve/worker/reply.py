"""Responses of the OpenAI protocol: whole answers and the events of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

from llmops.records import Answer


class Reply:
    """The parts of one response, all with the same id, time and model.

    Args:
        model: The version that answers, never the alias that was asked for.
        chat: Shape of chat completions, else of text completions.
    """

    def __init__(self, model: str, *, chat: bool) -> None:
        self._chat = chat
        self._kind = "chat.completion" if chat else "text_completion"
        prefix = "chatcmpl" if chat else "cmpl"
        self._head = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, answer: Answer) -> dict[str, object]:
        """The response of a request that does not stream."""
        content = {"role": "assistant", "content": answer.text}
        said = {"message": content} if self._chat else {"text": answer.text}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": answer.finish_reason}
        return {**self._head, "object": self._kind, "choices": [choice], "usage": _usage(answer)}

    def start(self) -> dict[str, object] | None:
        """The first event of a stream; a text completion has none."""
        return self._chunk({"role": "assistant", "content": ""}) if self._chat else None

    def piece(self, text: str) -> dict[str, object]:
        """A piece of text."""
        return self._chunk({"content": text}, text)

    def end(self, answer: Answer) -> dict[str, object]:
        """Why the answer ended."""
        return self._chunk({}, reason=answer.finish_reason)

    def usage(self, answer: Answer) -> dict[str, object]:
        """The token counts, as an event without choices."""
        return {**self._head, "object": self._stream_kind(), "choices": [], "usage": _usage(answer)}

    def _chunk(
        self, delta: Mapping[str, str], text: str = "", reason: str | None = None
    ) -> dict[str, object]:
        said = {"delta": delta} if self._chat else {"text": text}
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
        return {**self._head, "object": self._stream_kind(), "choices": [choice]}

    def _stream_kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.prompt_tokens + answer.tokens,
    }
