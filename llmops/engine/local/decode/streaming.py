"""Text while it is generated: ``generate`` runs in a thread of its own and hands over pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

from llmops.engine.chat_format import ChatFormat
from llmops.records import Answer

Work = Callable[[Any, threading.Event], Answer]
"""Generates one answer: takes transformers' streamer, and an event that says to stop."""


def pieces(chat_format: ChatFormat, work: Work) -> Generator[str | Answer]:
    """Yields pieces of text as they come, then the whole answer.

    Closing the iterator stops the generation at its next token and waits for that.

    Args:
        chat_format: Whose tokens are generated.
        work: Runs in the thread; what it raises is raised here.
    """
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(
        chat_format.tokenizer, skip_prompt=True, skip_special_tokens=True
    )
    cancelled = threading.Event()
    result: list[Answer | BaseException] = []

    def run() -> None:
        try:
            result.append(work(streamer, cancelled))
        except BaseException as error:
            result.append(error)
        finally:  # whatever happened, nobody waits for another piece
            streamer.text_queue.put(streamer.stop_signal)

    thread = threading.Thread(target=run, name="llmops-stream", daemon=True)
    thread.start()
    try:
        yield from filter(None, streamer)
    finally:
        cancelled.set()
        thread.join()
    (last,) = result
    if isinstance(last, BaseException):
        raise last
    yield last


def cut(pieces: Iterable[str | Answer], stops: Sequence[str]) -> Iterator[str | Answer]:
    """Holds back what may become a stop string, which an answer does not contain.

    Args:
        pieces: Text as it is generated, stop strings included, then the ``Answer`` without them.
        stops: The stop strings.

    Yields:
        Pieces that together are the text of the ``Answer``, then the ``Answer``.
    """
    text, sent = "", 0
    for piece in pieces:
        text = piece.text if isinstance(piece, Answer) else text + piece
        safe = len(text) if isinstance(piece, Answer) else _safe_length(text, stops)
        if safe > sent:
            yield text[sent:safe]
            sent = safe
        if isinstance(piece, Answer):
            yield piece


def _safe_length(text: str, stops: Sequence[str]) -> int:
    """Characters that no stop string can take back."""
    found = [text.find(stop) for stop in stops if stop in text]
    if found:
        return min(found)
    held = (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return len(text) - max(held, default=0)
