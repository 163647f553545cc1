"""A small HTTP server of the OpenAI chat protocol whose model is a function."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Says = Callable[[str], tuple[int, object]]
"""Status and body of the reply to a prompt; a body is bytes, or an object to send as JSON."""


@dataclass(frozen=True)
class Received:
    """A request as it reached the server."""

    key: str
    body: dict[str, Any]


@contextmanager
def replying(says: Says, received: list[Received] | None = None) -> Iterator[str]:
    """Run a server whose model is a function; yield the base URL of its API.

    Args:
        says: Status and body of the reply to the last message of a request.
        received: Gets every request.
    """

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1  # one packet for each reply: two wait for each other

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if received is not None:
                received.append(Received(self.headers["Authorization"], request))
            status, reply = says(request["messages"][-1]["content"])
            body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    poll = {"poll_interval": 0.02}
    threading.Thread(target=server.serve_forever, kwargs=poll, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def replying_with_headers(reply: object, headers: list[dict[str, str]]) -> Iterator[str]:
    """Run a server that always gives the same reply; ``headers`` gets those of every request."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            headers.append({name.lower(): value for name, value in self.headers.items()})
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


CHOICE: dict[str, object] = {
    "index": 0,
    "message": {"role": "assistant", "content": "fine"},
    "finish_reason": "stop",
}
ODD: dict[str, object] = {
    "nested too deeply": b"[" * 200_000 + b"]" * 200_000,
    "a page": "<html></html>",
    "a list": [1, 2],
    "nothing": None,
    "an error": {"error": {"message": "no credit", "code": 402}},
    "choices without a message": {"choices": [{}]},
    "no message": {"choices": [{**CHOICE, "message": None}]},
    "choices of text": {"choices": ["a"]},
    "text for choices": {"choices": "abc"},
    "parts": {"choices": [{**CHOICE, "message": {"content": [{"type": "text", "text": "x"}]}}]},
    "a reason that is none": {"choices": [{**CHOICE, "finish_reason": {"a": 1}}]},
    "broken off": {"choices": [{**CHOICE, "finish_reason": "abort"}]},
    "usage of another shape": {"choices": [CHOICE], "usage": [1]},
    "cut off": b'{"choices": [{"ind',
}
FAILURES: list[tuple[int, object]] = [
    *((status, {}) for status in (400, 402, 408, 409, 424, 429, 500, 502, 503)),
    *((200, odd) for odd in ODD.values()),
]
"""Replies that hold no answer, each a status and a body."""
