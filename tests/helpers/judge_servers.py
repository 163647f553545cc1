"""Judges behind a real socket, as good or as bad as a test wants them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llmops.compare.scorers.judge.askers import HttpJudge
from llmops.engine.openai.client import PROBE
from llmops.engine.openai.endpoint import Endpoint
from llmops.engine.openai.engine import HttpEngine
from llmops.records import Answer, Example

Says = Callable[[str], str | None]
"""The judge's reply to a prompt; ``None`` is HTTP 400."""


def parts(prompt: str) -> dict[str, str]:
    """What stands between the marks, as a program reads it: name of the part → text."""
    (mark,) = set(re.findall(r"lines that begin with (#[0-9a-f]{16})\.", prompt))
    found: dict[str, str] = {}
    for part in f"\n{prompt}".split(f"\n{mark} ")[1:]:
        name, _, text = part.partition("\n")
        found[name] = text
    return found


def good(prompt: str) -> str:
    """Prefers what is expected; without that, what is longer."""
    shown = parts(prompt)
    a, b = (shown[f"answer {letter}"].strip() for letter in "AB")
    wanted = shown.get("expected answer")
    ranks = [(answer == wanted, len(answer)) for answer in (a, b)]
    verdict = "tie" if ranks[0] == ranks[1] else "A" if ranks[0] > ranks[1] else "B"
    return f"It says what is wanted.\nVerdict: {verdict}"


def slow(_: str) -> str:
    time.sleep(4)
    return "Verdict: A"


def cut(prompt: str) -> str:
    """A reply that ends in the middle: the server says ``length``."""
    return "CUT\nVerdict: A"


class Served:
    """A judge's server, and what it was asked."""

    def __init__(self, port: int, prompts: list[str]) -> None:
        self.url, self.prompts = f"http://127.0.0.1:{port}/v1", prompts

    def judge(self, *, timeout: float = 30.0, max_tokens: int = 256) -> HttpJudge:
        endpoint = Endpoint(self.url, "umpire")
        engine = HttpEngine(endpoint, timeout=timeout, retries=0)
        return HttpJudge(endpoint, max_tokens=max_tokens, engine=engine)


@contextmanager
def serving(says: Says, *, greets: bool = True) -> Iterator[Served]:
    """A server of the OpenAI chat protocol whose model is a function; most answer a probe."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1  # one packet for each reply: two wait for each other

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (message,) = request["messages"]
            if greets and message in PROBE:
                text: str | None = "Hello."
            else:
                asked.append(message["content"])
                text = says(message["content"])
            status, reply = (
                (400, {"error": {"message": "no"}}) if text is None else (200, _reply(text))
            )
            body = json.dumps(reply).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                pass  # it did not wait

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Served(server.server_address[1], asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _reply(text: str) -> dict[str, object]:
    reason = "length" if text.startswith("CUT") else "stop"
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "umpire",
        "choices": [choice],
        "usage": usage,
    }


def example(i: int, expected: str | None = None) -> Example:
    messages = ({"role": "user", "content": f"What is {i} plus {i}?"},)
    return Example(f"e{i}", messages, expected, f"e{i}")


def answer(text: str) -> Answer:
    return Answer(text, 3, 9, "stop")


BROKEN = Answer("", 0, 0, "error", error="Connection error.")
