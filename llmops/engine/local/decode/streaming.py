"""Stream text while it is generated: ``generate`` runs in a thread and hands over pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

from llmops.engine.chat_format import ChatFormat
from llmops.records import Answer

Work = Callable[[Any, threading.Event], Answer]
"""A function that generates one answer, given a streamer from transformers and an event that stops
it."""


def pieces(chat_format: ChatFormat, work: Work) -> Generator[str | Answer]:
    """Yield pieces of text as they are generated, then the complete answer.

    Closing the generator stops the generation at its next token and waits for its end.

    Args:
        chat_format: Decodes the tokens.
        work: Runs in the thread; its exceptions are raised here.
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
        finally:  # whatever happened, the reader must not wait for another piece
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
    """Hold back text that may turn out to be a stop string, which an answer does not contain.

    Args:
        pieces: Pieces of text including stop strings, then the ``Answer`` without them.
        stops: The stop strings.

    Yields:
        Pieces that concatenate to the text of the ``Answer``, then the ``Answer``.
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
    """Return the number of characters that no stop string can include."""
    complete = [text.find(stop) for stop in stops if stop in text]
    if complete:
        return min(complete)
    held = (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return len(text) - max(held, default=0)
