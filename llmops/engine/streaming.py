"""Text while it is generated: ``generate`` runs in a thread of its own and hands over pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from llmops.engine.voice import Voice
from llmops.records import Answer

Work = Callable[[Any, threading.Event], Answer]
"""Generates one answer: takes transformers' streamer, and an event that says to stop."""


def pieces(voice: Voice, work: Work) -> Iterator[str | Answer]:
    """Yields pieces of text as they come, then the whole answer.

    Closing the iterator stops the generation at its next token and waits for that.

    Args:
        voice: Whose tokens are generated.
        work: Runs in the thread; what it raises is raised here.
    """
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(voice.tokenizer, skip_prompt=True, skip_special_tokens=True)
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
