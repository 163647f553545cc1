"""An engine without a model: the HTTP protocol of an engine process, with delays and faults at will.

    python fake_engine.py --port PORT --served-model-name DIGEST [--delay 0.05] [--rate 100]

It takes the arguments of vLLM's server and ignores those that it does not know, so that it can stand
in for one. Words in a request's prompt steer its answer, whatever gateway lies between:

    fault=NAME   breaks the answer, see ``FAULTS``
    delay=0.2    seconds before the first token, instead of ``--delay``
    rate=50      tokens per second, instead of ``--rate``; 0 for no pause
    marker=WORD  comes back in the answer, so that a test sees whose answer it got

Every token of an answer names the model that was asked, so an answer that mixes two shows it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

WORDS = re.compile(rb"\b(fault|delay|rate|marker)=([\w.-]+)")
FAULTS = {
    "cut": "the connection breaks after 40 tokens",
    "ended": "the stream ends after 40 tokens, without [DONE]",
    "stall": "30 seconds of nothing after 20 tokens",
    "malformed": "the event after 10 tokens is broken JSON",
    "event": "an error event after 10 tokens, then [DONE], as vLLM does",
    "split": "not a fault: events arrive in pieces of one byte to a half",
    "500": "status 500 before the first byte",
    "reset": "the connection is reset before the first byte",
}
TOKENS = 16
"""Tokens of an answer whose request does not limit them."""
STALL_SECONDS = 30.0


class FakeEngine:
    """The ASGI application.

    Args:
        base: Name of the base model, its digest.
        key: Key that ``/v1`` asks for; empty for none.
        delay: Seconds before the first token.
        rate: Tokens per second; 0 for no pause.
        echo: Names of versions that answer as the base does, as an adapter of no effect.
    """

    def __init__(
        self, base: str, key: str = "", delay: float = 0.05, rate: float = 0.0, echo: str = ""
    ) -> None:
        self._base, self._key, self._delay, self._rate = base, f"Bearer {key}".encode(), delay, rate
        self._open = not key
        self._echo = set(echo.split(",")) - {""}
        self._models = {base}
        self._counts: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        route = (scope["method"], scope["path"])
        if route == ("GET", "/health"):
            await _reply(send, 200, b"")
        elif route == ("GET", "/stats"):
            found = {**self._counts, "models": sorted(self._models)}
            await _reply(send, 200, json.dumps(found).encode())
        elif not (self._open or dict(scope["headers"]).get(b"authorization") == self._key):
            await _reply(send, 401, _error("Unauthorized"))
        elif route == ("GET", "/v1/models"):
            entries = [{"id": name, "object": "model"} for name in sorted(self._models)]
            await _reply(send, 200, json.dumps({"object": "list", "data": entries}).encode())
        elif route == ("POST", "/v1/chat/completions"):
            await self._answer(await _body(receive), receive, send, chat=True)
        elif route == ("POST", "/v1/completions"):
            await self._answer(await _body(receive), receive, send, chat=False)
        elif route == ("POST", "/v1/load_lora_adapter"):
            name = json.loads(await _body(receive))["lora_name"]
            known = name in self._models
            self._models.add(name)
            await _reply(send, 400 if known else 200, _error(f"{name} has already been loaded"))
        elif route == ("POST", "/v1/unload_lora_adapter"):
            name = json.loads(await _body(receive))["lora_name"]
            known = name in self._models
            self._models.discard(name)
            await _reply(send, 200 if known else 404, _error(f"{name} cannot be found"))
        else:
            await _reply(send, 404, _error("Not Found"))

    async def _answer(self, body: bytes, receive: Receive, send: Send, *, chat: bool) -> None:
        asked = json.loads(body)
        words = {name.decode(): word.decode() for name, word in WORDS.findall(body)}
        name, fault = asked.get("model", self._base), words.get("fault", "")
        self._counts[f"requests {name}"] += 1
        if name not in self._models:
            await _reply(send, 404, _error(f"The model `{name}` does not exist."))
        elif fault == "500":
            await _reply(send, 500, _error("the engine failed"))
        elif fault == "reset":
            _reset(send)
        else:
            says = self._base if name in self._echo else name
            answer = _Answer(asked, says, words.get("marker", ""), chat=chat)
            gone = asyncio.ensure_future(receive())
            delay = float(words.get("delay", self._delay))
            rate = float(words.get("rate", self._rate))
            try:
                await asyncio.wait([gone], timeout=delay)
                if asked.get("stream"):
                    await _stream(answer, gone, send, 1 / rate if rate else 0.0, fault)
                else:
                    await asyncio.wait([gone], timeout=answer.n / rate if rate else 0.0)
                    await _whole(answer, send, fault)
                self._counts["gone" if gone.done() else "finished"] += 1
            finally:
                gone.cancel()


class _Answer:
    """The parts of one answer."""

    def __init__(self, asked: dict[str, Any], says: str, marker: str, *, chat: bool) -> None:
        self._chat, self._model = chat, asked.get("model", says)
        self.n = int(asked.get("max_completion_tokens") or asked.get("max_tokens") or TOKENS)
        self._says, self._marker = says, marker
        options = asked.get("stream_options")
        self.usage_wanted = isinstance(options, dict) and bool(options.get("include_usage"))
        self._logprobs = asked.get("logprobs") not in (None, False)
        kind = "chat.completion" if chat else "text_completion"
        chunk = f"{kind}.chunk" if chat else kind
        head = {"id": f"fake-{id(self)}", "created": int(time.time()), "model": self._model}
        self._whole_head, self._chunk_head = (
            json.dumps({**head, "object": of})[:-1].encode() for of in (kind, chunk)
        )

    def token(self, i: int) -> str:
        """Return the i-th token, which names the model; the first one has the marker."""
        return (
            f" marker={self._marker} {self._says}" if self._marker and not i else f" {self._says}"
        )

    def event(self, i: int) -> bytes:
        """Return the event of the i-th token."""
        delta = (
            f'"delta":{{"content":"{self.token(i)}"}}'
            if self._chat
            else f'"text":"{self.token(i)}"'
        )
        logprobs = json.dumps(self._probabilities(i, 1)) if self._logprobs else "null"
        choice = f'"index":0,{delta},"logprobs":{logprobs},"finish_reason":null'
        return b'data: %b,"choices":[{%b}]}\n\n' % (self._chunk_head, choice.encode())

    def first(self) -> bytes:
        """Return the event with the role, which only a chat has."""
        choice = b'"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null'
        return b'data: %b,"choices":[{%b}]}\n\n' % (self._chunk_head, choice) if self._chat else b""

    def last(self) -> bytes:
        """Return the events after the tokens."""
        content = b'"delta":{}' if self._chat else b'"text":""'
        reason = b'"index":0,%b,"finish_reason":"length"' % content
        events = b'data: %b,"choices":[{%b}]}\n\n' % (self._chunk_head, reason)
        if self.usage_wanted:
            usage = json.dumps(self._usage()).encode()
            events += b'data: %b,"choices":[],"usage":%b}\n\n' % (self._chunk_head, usage)
        return events + b"data: [DONE]\n\n"

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        text = "".join(map(self.token, range(self.n)))
        content = (
            {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        )
        logprobs = self._probabilities(0, self.n) if self._logprobs else None
        choice = {"index": 0, **content, "logprobs": logprobs, "finish_reason": "length"}
        rest = json.dumps({"choices": [choice], "usage": self._usage()})
        return self._whole_head + b"," + rest[1:].encode()

    def _usage(self) -> dict[str, int]:
        return {"prompt_tokens": 8, "completion_tokens": self.n, "total_tokens": self.n + 8}

    def _probabilities(self, begin: int, n: int) -> dict[str, Any]:
        """Return log probabilities that depend on what answers, as those of an adapter do."""
        tokens = [self.token(i) for i in range(begin, begin + n)]
        value = -1 - hashlib.sha256(self._says.encode()).digest()[0] / 256
        if not self._chat:
            tops = [{token: value} for token in tokens]
            return {
                "tokens": tokens,
                "token_logprobs": [value] * n,
                "top_logprobs": tops,
                "text_offset": [0] * n,
            }
        shown = [{"token": token, "logprob": value, "bytes": None} for token in tokens]
        return {"content": [{**one, "top_logprobs": [one]} for one in shown]}


async def _stream(
    answer: _Answer, gone: asyncio.Future[Message], send: Send, pause: float, fault: str
) -> None:
    await send(_start(200, [(b"content-type", b"text/event-stream; charset=utf-8")]))

    async def write(event: bytes) -> None:
        parts = (event[:1], event[1 : len(event) // 2], event[len(event) // 2 :])
        for part in parts if fault == "split" else (event,):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            if fault == "split":
                await asyncio.sleep(0)

    if first := answer.first():
        await write(first)
    due = time.monotonic()
    for i in range(answer.n):
        if gone.done():
            return
        if fault == "malformed" and i == 10:
            await write(b'data: {"id":"fake","choices":[{"index":0,"delta":{"con\n\n')
        if fault == "event" and i == 10:
            await write(b"data: %b\n\ndata: [DONE]\n\n" % _error("the engine failed"))
            break
        if fault == "stall" and i == 20:
            await asyncio.wait([gone], timeout=STALL_SECONDS)
        if fault == "ended" and i == 40:
            break
        if fault == "cut" and i == 40:
            return  # the server closes a connection whose answer is not complete
        await write(answer.event(i))
        due += pause
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    else:
        await write(answer.last())
    await send({"type": "http.response.body", "body": b""})


async def _whole(answer: _Answer, send: Send, fault: str) -> None:
    body = answer.whole()[: -9 if fault == "malformed" else None]
    length = (b"content-length", b"%d" % len(body))
    await send(_start(200, [(b"content-type", b"application/json"), length]))
    if fault in ("cut", "ended"):
        await send({"type": "http.response.body", "body": body[:40], "more_body": True})
        return
    await send({"type": "http.response.body", "body": body})


async def _reply(send: Send, status: int, body: bytes) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send(_start(status, [(b"content-type", b"application/json"), length]))
    await send({"type": "http.response.body", "body": body})


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _error(message: str) -> bytes:
    shown = {"message": message, "type": "FakeError", "param": None, "code": 400}
    return json.dumps({"error": shown}).encode()


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _reset(send: Send) -> None:
    """Reset the connection: ASGI itself has no way to."""
    transport = send.__self__.transport  # type: ignore[attr-defined]
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", default="base")
    parser.add_argument("--lora-modules", nargs="*", default=[])
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--no-effect", default="", help="Versions that answer as the base does.")
    given, _ = parser.parse_known_args()
    app = FakeEngine(
        given.served_model_name,
        os.environ.get("VLLM_API_KEY", ""),
        given.delay,
        given.rate,
        given.no_effect,
    )
    app._models |= {json.loads(module)["name"] for module in given.lora_modules}
    uvicorn.run(
        app,
        host=given.host,
        port=given.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="critical",
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
