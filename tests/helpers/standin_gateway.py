"""A small gateway: what the real one promises the commands, without an engine.

    python -m standin_gateway NAME --fd N

``STANDIN`` chooses a fault: ``refuse`` gives up with a recorded reason, ``crash`` without one,
``slow`` never becomes ready, ``probe`` refuses version 2.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llmops.engine.openai.errors import ApiError
from llmops.errors import LlmopsError, NotFoundError
from llmops.records.serving import served_name
from llmops.serve.auth.guard import Guard
from llmops.serve.deployment import state

ANSWER = ["hello", " from ", "here"]


class Gateway:
    """The current version of a deployment, and what may change it."""

    def __init__(self, name: str) -> None:
        self.name, self.token = name, secrets.token_hex(8)
        self.config = state.claim(name)
        self.guard, self.swapping = Guard(self.config), threading.Lock()
        self.uri = self.model = ""
        # In a group of its own, as engines are: nothing but its recorded number leads to it.
        self.engine = subprocess.Popen(["sleep", "600"], start_new_session=True)
        state.report(name, phase="starting the engine", processes=[self.engine.pid])

    def serve(self, uri: str) -> bool:
        """Serves a URI; returns whether the version is another one."""
        uri = resolved(uri)
        changed, self.uri, self.model = uri != self.uri, uri, served_name(uri)
        state.report(self.name, uri=uri, model=self.model, engine="local", phase="")
        return changed

    def update(self, uri: str, follow: bool) -> tuple[int, dict[str, Any]]:
        """What POST /update answers."""
        if not self.swapping.acquire(blocking=False):
            return 409, {"error": {"message": "another swap is going on", "next": None}}
        try:
            state.report(self.name, phase=f"loading {uri}")
            time.sleep(float(os.environ.get("STANDIN_SWAP", "0")))
            changed = self.serve(uri)
            state.retarget(self.name, uri if follow else self.uri, follow=follow)
            return 200, {"version": self.model, "changed": changed}
        except LlmopsError as error:
            return 422, {"error": {"message": error.message, "next": error.next_command}}
        finally:
            state.report(self.name, phase="")
            self.swapping.release()

    def end(self, *_: object) -> None:
        """Ends with its engine; answers in progress have half a second."""
        time.sleep(0.5)
        self.engine.terminate()
        self.engine.wait()
        os._exit(0)


def resolved(uri: str) -> str:
    if "@" not in uri:
        if os.environ.get("STANDIN") == "probe" and uri.endswith("/2"):
            raise NotFoundError(f"{uri}: refused by the probe: it answers like its base")
        return uri
    from llmops.store import registry

    name, version = registry.parse(uri)
    return f"models:/{name}/{version}"


class Handler(BaseHTTPRequestHandler):
    """HTTP for a gateway; one subclass for the public port, one for the control server."""

    gateway: Gateway

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def body(self) -> dict[str, Any]:
        """The JSON of the request."""
        return dict(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def reply(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """Answers with JSON."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Public(Handler):
    """``/readyz`` and ``/v1/chat/completions``."""

    def do_GET(self) -> None:
        ready = bool(self.gateway.model) and os.environ.get("STANDIN") != "slow"
        self.reply(200 if ready else 503, {})

    def do_POST(self) -> None:
        body = self.body()
        try:
            self.gateway.guard.admit(self.headers)
            if body.get("tools"):
                raise ApiError(400, "tools: not supported by this engine")
            if not body.get("messages"):
                raise ApiError(400, "messages: required")
        except ApiError as error:
            self.reply(error.status, error.body(), error.headers)
            return
        if body.get("stream"):
            self.stream("stream_options" in body)
        else:
            self.whole()

    def whole(self) -> None:
        message = {"role": "assistant", "content": "".join(ANSWER)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": len(ANSWER), "total_tokens": 4}
        common = {"id": "c", "object": "chat.completion", "created": 1, "model": self.gateway.model}
        self.reply(200, {**common, "choices": [choice], "usage": usage})

    def stream(self, include_usage: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        usage = {"prompt_tokens": 1, "completion_tokens": len(ANSWER), "total_tokens": 4}
        for piece in [*ANSWER, None]:
            choice = {
                "index": 0,
                "delta": {"content": piece} if piece else {},
                "finish_reason": None if piece else "stop",
            }
            event = {"id": "c", "object": "chat.completion.chunk", "created": 1}
            event |= {"model": self.gateway.model, "choices": [choice], "usage": None}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            time.sleep(0.1)
        last = {**event, "choices": [], "usage": usage}
        end = f"data: {json.dumps(last)}\n\n" if include_usage else ""
        self.wfile.write(f"{end}data: [DONE]\n\n".encode())


class Control(Handler):
    """``POST /update``, with the token."""

    def do_POST(self) -> None:
        body = self.body()
        if self.headers["Authorization"] != f"Bearer {self.gateway.token}":
            self.reply(401, {"error": {"message": "wrong token", "next": None}})
            return
        self.reply(*self.gateway.update(body["uri"], body["follow"]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--fd", type=int)
    given = parser.parse_args()
    fault = os.environ.get("STANDIN")
    assert "LLMOPS_API_KEY" not in os.environ
    if fault == "crash":
        sys.exit("crashed without a reason")
    gateway = Gateway(given.name)
    signal.signal(signal.SIGTERM, gateway.end)
    if fault == "refuse":
        state.report(given.name, error="CUDA out of memory", next_command="choose a smaller base")
        gateway.end()
    listening = socket.socket(fileno=given.fd)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Public, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    if gateway.config.tls_cert is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(gateway.config.tls_cert, gateway.config.tls_key)
        server.socket = context.wrap_socket(listening, server_side=True)
    control = ThreadingHTTPServer(("127.0.0.1", 0), Control)
    Handler.gateway = gateway
    address = f"http://127.0.0.1:{control.server_port}"
    state.report(given.name, control=address, token=gateway.token)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    gateway.serve(gateway.config.uri)
    server.serve_forever()


if __name__ == "__main__":
    main()
