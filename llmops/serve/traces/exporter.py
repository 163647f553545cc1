"""The process that writes traces: ``python -P -m llmops.serve.traces.exporter SETUP``.

It reads the gateway's records from its input, a line of JSON each, and writes them to MLflow in
batches. It reports what it did on its output, and ends when its input ends. While the store does not
answer, it keeps what fits into memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import IO, Any

from llmops.errors import LlmopsError, StoreError, first_line
from llmops.serve.traces import content, made, otel
from llmops.serve.traces.content import Content, Redact
from llmops.serve.traces.lines import Lines
from llmops.serve.traces.pipe import FLUSH_SECONDS, Setup
from llmops.store import traces
from llmops.store.traces import TraceRecord

RETRY_SECONDS = (0.5, 10.0)
"""Seconds before a write is repeated: the first, and the longest."""
ATTEMPTS = 4
"""Writes of a batch that a store which answers may refuse; then each trace is written alone."""
NICE = 10


class Exporter:
    """Writes the records of a deployment.

    Args:
        setup: What the gateway asks for.
        lines: The records.
        output: Where to report; a line of JSON after each batch.
    """

    def __init__(self, setup: Setup, lines: Lines, output: IO[bytes]) -> None:
        self._setup, self._lines, self._output = setup, lines, output
        self._experiment: str | None = None
        self._exported = self._dropped = self._unredacted = 0
        self._noted, self._began = "", time.monotonic()
        self._redact: Redact | None = None
        if setup.redact and setup.content:
            try:
                self._redact = content.load_redact(setup.redact)
            except LlmopsError as error:
                self._note(f"{error.message}; traces have no content")
        try:
            self._otel = otel.open_exporter(setup.deployment)
        except LlmopsError as error:
            self._otel = None
            self._note(str(error))

    def run(self) -> None:
        """Write until the input has ended, and for ``FLUSH_SECONDS`` longer what is left."""
        self._answers()  # MLflow is imported and its store opened before the gateway counts on us
        self._began = time.monotonic()
        self._report()
        while found := self._lines.batch():
            records = [made for made in map(self._made, found) if made is not None]
            self._dropped += len(found) - len(records)
            self._write(records)
            self._report()
            if self._is_over():
                break
        self._dropped += len(self._lines)
        self._report()
        if self._otel:
            self._otel.close()

    def _made(self, line: bytes) -> TraceRecord | None:
        """Return the trace of a line; ``None`` if the gateway was killed while it wrote it."""
        try:
            record = json.loads(line)
        except ValueError:
            return None
        try:
            kept = self._kept(content.read(record))
            trace = made.trace(record, self._setup.deployment, kept)
        except Exception as error:  # a request of a shape that nobody foresaw
            self._note(f"content left out: {type(error).__name__}")
            trace = made.trace(record, self._setup.deployment, made.without_content([]))
        if self._otel:
            self._otel.export(record, trace)
        return trace

    def _kept(self, whole: Content) -> Content:
        """Return what may be written; nothing of the content if the redaction fails."""
        if not self._setup.content:
            return made.without_content(whole.choices)
        if self._setup.redact is None:
            return whole
        if self._redact is not None:
            try:
                return content.redacted(whole, self._redact)
            except Exception as error:  # a user's function
                self._note(f"redact={self._setup.redact} failed: {type(error).__name__}")
        self._unredacted += 1
        return made.without_content(whole.choices)

    def _write(self, records: list[TraceRecord]) -> None:
        """Write a batch; repeat it while the store does not answer."""
        pause, longest = RETRY_SECONDS
        attempts = 0
        while records:
            try:
                traces.write(self._target(), records, alone=not attempts)
                self._exported += len(records)
                return
            except StoreError as error:
                self._note(f"MLflow: {first_line(error)[:300]}")
            except Exception as error:  # one record that MLflow cannot hold must not end the others
                self._note(f"MLflow: {type(error).__name__}")
                attempts = ATTEMPTS
            if self._is_over():
                self._dropped += len(records)
                return
            attempts += 1
            if attempts >= ATTEMPTS and self._answers():
                self._write_each(records)
                return
            self._report()
            self._lines.wait_for_end(pause)
            if self._lines.ended is not None:
                time.sleep(RETRY_SECONDS[0])
            pause = min(2 * pause, longest)

    def _write_each(self, records: list[TraceRecord]) -> None:
        for record in records:
            try:
                traces.write(self._target(), [record])
                self._exported += 1
            except Exception:
                self._dropped += 1

    def _target(self) -> str:
        if self._experiment is None:
            self._experiment = traces.experiment(self._setup.experiment)
        return self._experiment

    def _answers(self) -> bool:
        """Return whether the store answers, and has the experiment."""
        self._experiment = None
        with suppress(StoreError):
            return bool(self._target())
        return False

    def _is_over(self) -> bool:
        ended = self._lines.ended
        return ended is not None and time.monotonic() > max(ended, self._began) + FLUSH_SECONDS

    def _report(self, **more: str) -> None:
        self._send(
            exported=self._exported,
            dropped=self._dropped + self._lines.refused,
            unredacted=self._unredacted,
            **more,
        )

    def _note(self, text: str) -> None:
        """Report a problem once, until another one comes; it holds no prompt and no answer."""
        if text != self._noted:
            self._noted = text
            print(text, file=sys.stderr, flush=True)
            self._report(note=text)

    def _send(self, **fields: Any) -> None:
        with suppress(OSError):  # the gateway is gone
            self._output.write(json.dumps(fields).encode() + b"\n")
            self._output.flush()


def main() -> None:
    """Write the traces that come on standard input."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # the end of the input alone decides
        signal.signal(ignored, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        os.nice(NICE)
    # What a user's function or a library prints must not get between our lines.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    lines = Lines(sys.stdin.buffer)
    Exporter(Setup(**json.loads(sys.argv[1])), lines, output).run()
    with suppress(OSError):  # the gateway is gone
        output.close()
    os._exit(0)  # libraries' threads must not keep a process that nobody waits for


if __name__ == "__main__":
    main()
