"""The gateway's side of traces and receipts: on the event loop, so it only decides and queues."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.records.serving import Served
from llmops.serve.deployment.config import Config
from llmops.serve.gateway.hooks import Exchange
from llmops.serve.receipts import Issuer
from llmops.serve.traces.pipe import Pipe, Setup
from llmops.store.traces import new_id

TRACE_HEADER = "x-mlflow-trace-id"
RECEIPT_HEADER = "x-llmops-receipt"
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""The header of W3C trace context, version 00; anything else is ignored, as the standard asks."""
ANSWER_BYTES = 1 << 20
"""Maximum bytes of an answer, or of the events of a stream, that are handed on."""
SAMPLING = (
    *("temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "n", "seed"),
    *("stream", "frequency_penalty", "presence_penalty", "repetition_penalty", "logprobs"),
)
"""Fields of a request that are no content; they are recorded if they are numbers."""


class Recorder:
    """Keeps a record of a deployment's answers; see ``llmops.serve.gateway.hooks.Recorder``.

    Args:
        config: Settings of the deployment.
        folder: Folder of the deployment, for the log of the process that writes the traces.

    Raises:
        LlmopsError: The key of the receipts cannot be read or written.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self._issuer = Issuer(config.name)
        self._share = config.trace_sample if config.traces else 0.0
        self._content = config.trace_content
        self._pipe = Pipe(Setup.of(config), folder) if self._share > 0 else None

    @property
    def dropped(self) -> int:
        """Number of answers that should have been recorded and were not."""
        return self._pipe.dropped if self._pipe else 0

    @property
    def exported(self) -> int:
        """Number of traces that MLflow has."""
        return self._pipe.exported if self._pipe else 0

    @property
    def unredacted(self) -> int:
        """Number of traces without content because the user's function failed."""
        return self._pipe.unredacted if self._pipe else 0

    def begin(self, exchange: Exchange) -> Recording:
        """Begin the record of a request that a version is about to answer."""
        kept = self._pipe is not None and random.random() < self._share
        trace_id = new_id() if kept else None
        receipt = self._issuer.issue(exchange.served, trace_id).text
        return Recording(self._pipe if kept else None, trace_id, receipt, content=self._content)

    def close(self) -> None:
        """Hand on what is queued to the process that writes the traces, which then ends by itself."""
        if self._pipe:
            self._pipe.close()


class Recording:
    """The record of one exchange.

    Args:
        pipe: Takes the record; ``None`` if the answer is not recorded.
        trace_id: Id of the trace; ``None`` likewise.
        receipt: Text of the receipt.
        content: Whether the events of a stream are wanted.
    """

    __slots__ = ("_pipe", "_receipt", "_trace_id", "content", "headers")

    def __init__(
        self, pipe: Pipe | None, trace_id: str | None, receipt: str, *, content: bool
    ) -> None:
        self._pipe, self._trace_id, self._receipt = pipe, trace_id, receipt
        self.content = content and pipe is not None
        named = {TRACE_HEADER: trace_id} if trace_id else {}
        self.headers: Mapping[str, str] = {RECEIPT_HEADER: receipt, **named}

    def end(self, exchange: Exchange) -> None:
        """Queue the finished exchange."""
        if self._pipe is None or self._trace_id is None:
            return
        size = len(exchange.answer) + sum(map(len, exchange.events))
        fits = size <= ANSWER_BYTES
        self._pipe.put(
            {
                "trace_id": self._trace_id,
                "receipt": self._receipt,
                "path": exchange.path,
                **_version(exchange.served),
                "caller": exchange.caller.name,
                "stream": exchange.stream,
                "began": exchange.began,
                "seconds": exchange.seconds,
                "first": exchange.first,
                "status": exchange.status,
                "error": exchange.error,
                "prompt_tokens": exchange.prompt_tokens,
                "completion_tokens": exchange.completion_tokens,
                "sampling": _sampling(exchange.body),
                "traceparent": _traceparent(exchange),
                "body": exchange.body if self.content else None,
                "answer": exchange.answer if fits else b"",
                "events": exchange.events if fits else [],
                "cut": not fits,
            },
            size,
        )


def _version(served: Served) -> dict[str, Any]:
    files = served.files
    return {"version": served.name, "uri": files.uri, "model_id": files.model_id}


def _sampling(body: Mapping[str, Any]) -> dict[str, float]:
    found = {name: body.get(name) for name in SAMPLING}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def _traceparent(exchange: Exchange) -> str | None:
    """Return the header of the caller's own trace, if it is valid."""
    given = getattr(exchange, "traceparent", None)
    return given if isinstance(given, str) and TRACEPARENT.fullmatch(given) else None
