"""Stream text while it is generated: ``generate`` runs in a thread and hands over pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from queue import SimpleQueue
from typing import Any

from llmops.engine.chat_format import ChatFormat
from llmops.engine.local.decode.stops import HeldBack
from llmops.records import Answer

Work = Callable[[Any, threading.Event], Answer]
"""A function that generates one answer, given a streamer from transformers and an event that stops
it."""
HALF = "\ufffd"
"""What an incomplete character decodes to."""
HALVES = 3
"""Maximum number of these at the end of a text that one more byte may change."""
WRONG_BYTE = "<0xFF>"
"""A byte token that no character contains, in tokenizers that fall back to bytes."""
JOINED = 8
"""Characters held back where the tokenizer joins words and punctuation (``do n't``) afterwards."""
WINDOW = 32
"""Minimum number of earlier tokens that are decoded with a new one."""


class TextStream:
    """A streamer for ``generate`` that hands over the text that later tokens cannot change.

    transformers' own ``TextIteratorStreamer`` waits for blanks and decodes each line anew: a
    tokenizer that strips the first space of a text, as Llama 2's does, then loses one per line.

    Args:
        chat_format: Decodes the tokens.
    """

    def __init__(self, chat_format: ChatFormat) -> None:
        self._decoder = StableText(chat_format)
        self._end_ids = chat_format.end_ids
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._prompt_seen = False

    def put(self, value: Any) -> None:
        """Take the prompt's token ids, which come first, or those of the next token."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        for token in value.flatten().tolist():
            if token not in self._end_ids:  # the end token is not part of the answer
                self._queue.put(self._decoder.add(token))

    def end(self) -> None:
        """Do nothing: the thread that generates ends the stream, whatever happened in it."""

    def close(self) -> None:
        """End the iteration."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[str]:
        """Yield the pieces of text, none of them empty."""
        while (piece := self._queue.get()) is not None:
            if piece:
                yield piece


class StableText:
    """Decodes tokens one by one into pieces that concatenate to the text of all.

    Only the last tokens are decoded again for each new one. Held back is what may still change: half
    a character, and a run of byte tokens such as ``<0xE2>``, which decodes to other characters as a
    whole if one byte of it is wrong.

    Args:
        chat_format: Decodes the tokens.
        special: Whether the text includes the special tokens.

    Attributes:
        rest: Text of the tokens so far that is held back.
    """

    def __init__(self, chat_format: ChatFormat, *, special: bool = False) -> None:
        tokenizer = chat_format.tokenizer
        self._decode = partial(chat_format.text, special=special)
        self.rest = ""
        wrong = tokenizer.convert_tokens_to_ids(WRONG_BYTE)
        known = wrong is not None and tokenizer.convert_ids_to_tokens(wrong) == WRONG_BYTE
        self._wrong_byte = wrong if known else None
        self._held = JOINED if getattr(tokenizer, "clean_up_tokenization_spaces", False) else 0
        self._ids: list[int] = []
        self._sent = 0

    def add(self, token: int) -> str:
        """Return the text that became certain with one more token; empty if none did."""
        self._ids.append(token)
        text = self._decode(self._ids)
        certain = self._certain(text)
        piece = text[self._sent : certain]
        self.rest = text[max(self._sent, certain) :]
        self._sent = max(self._sent, certain)
        if certain == len(text) and len(self._ids) >= 2 * WINDOW:
            self._ids = self._ids[-WINDOW:]
            self._sent = len(self._decode(self._ids))
        return piece

    def _certain(self, text: str) -> int:
        """Return the number of characters that no further token can change."""
        whole = len(text.rstrip(HALF))
        if self._wrong_byte is None:  # bytes of tokens: those of earlier characters are decoded
            whole = max(whole, len(text) - HALVES)
        certain = min(whole, max(0, len(text) - self._held))
        if self._wrong_byte is not None:
            spoiled = self._decode([*self._ids, self._wrong_byte])
            same = takewhile(lambda pair: pair[0] == pair[1], zip(text, spoiled, strict=False))
            certain = min(certain, sum(1 for _ in same))
        return certain


def pieces(chat_format: ChatFormat, work: Work) -> Generator[str | Answer]:
    """Yield pieces of text as they are generated, then the complete answer.

    Closing the generator stops the generation at its next token and waits for its end.

    Args:
        chat_format: Decodes the tokens.
        work: Runs in the thread; its exceptions are raised here.
    """
    streamer = TextStream(chat_format)
    cancelled = threading.Event()
    result: list[Answer | BaseException] = []

    def run() -> None:
        try:
            result.append(work(streamer, cancelled))
        except BaseException as error:
            result.append(error)
        finally:  # whatever happened, the reader must not wait for another piece
            streamer.close()

    thread = threading.Thread(target=run, name="llmops-stream", daemon=True)
    thread.start()
    try:
        yield from streamer
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
    held = HeldBack(stops)
    for piece in pieces:
        if certain := held.rest(piece.text) if isinstance(piece, Answer) else held.add(piece):
            yield certain
        if isinstance(piece, Answer):
            yield piece
