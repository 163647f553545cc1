"""OpenAI's shapes of an answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from llmops.records import Answer


def _identity(model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


def completion(answers: list[Answer], model: str) -> dict[str, Any]:
    """One ``chat.completion``.

    Args:
        answers: Its choices, all to the same prompt.
        model: URI of the model.
    """
    prompt, completion = answers[0].prompt_tokens, sum(answer.tokens for answer in answers)
    return {
        **_identity(model),
        "object": "chat.completion",
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": answer.finish_reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }


def chunks(pieces: Iterable[str | Answer], model: str) -> Iterator[dict[str, Any]]:
    """``chat.completion.chunk`` objects of one answer, the last one with its ``finish_reason``."""
    identity = _identity(model)
    for piece in pieces:
        done = isinstance(piece, Answer)
        choice = {
            "index": 0,
            "delta": {} if done else {"content": piece},
            "finish_reason": piece.finish_reason if isinstance(piece, Answer) else None,
        }
        yield {**identity, "object": "chat.completion.chunk", "choices": [choice]}
