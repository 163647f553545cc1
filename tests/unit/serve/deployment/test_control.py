"""Answers of a gateway to an update; `test_update` asks one that runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from llmops.errors import ServeError
from llmops.serve.deployment import control, state
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record.status import Started, Status


class Handler(BaseHTTPRequestHandler):
    answer: tuple[int, bytes]
    asked: list[Any]

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        status, content = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def record() -> Iterator[state.Record]:
    Handler.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    status = Status(model="bot@v7", control=f"http://127.0.0.1:{server.server_port}", token="t")
    config = Config(name="bot", uri="models:/bot/7", follow=False, host="h", port=1)
    yield state.Record(config, status, "http://h:1", Started(1, 1.0))
    server.shutdown()
    server.server_close()


def test_an_update_is_asked_for_with_the_token(record: state.Record) -> None:
    Handler.answer = 200, b'{"version": "bot@v8", "changed": true}'
    assert control.update(record, "models:/bot@champion", follow=True) == control.Swap(
        "bot@v8", changed=True
    )
    (asked,) = Handler.asked
    assert asked == ("/update", "Bearer t", {"uri": "models:/bot@champion", "follow": True})


def test_a_refusal_says_why_and_what_goes_on(record: state.Record) -> None:
    Handler.answer = 422, b'{"error": {"message": "rank 1024", "next": "use local"}}'
    with pytest.raises(ServeError, match="deployment bot: rank 1024\nbot@v7 goes on") as refused:
        control.update(record, "models:/bot/8", follow=False)
    assert refused.value.next_command == "use local"
    Handler.answer = 409, b'{"error": {"message": "another swap is going on", "next": null}}'
    with pytest.raises(ServeError, match="another swap is going on") as busy:
        control.update(record, "models:/bot/8", follow=False)
    assert busy.value.next_command == "mlflow deployments get -t llmops --name bot"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((500, b"<html>"), "refused with status 500"),
        ((200, b"[]"), "unexpected answer with status 200"),
        ((200, b"{}"), "unexpected answer with status 200"),
        ((502, b"{}"), "refused with status 502"),
        ((502, b'{"error": "text"}'), "refused with status 502"),
    ],
)
def test_an_answer_of_another_form(
    record: state.Record, answer: tuple[int, bytes], says: str
) -> None:
    Handler.answer = answer
    with pytest.raises(ServeError, match=says):
        control.update(record, "models:/bot/8", follow=False)


def test_a_gateway_that_is_gone_or_not_there_yet(record: state.Record) -> None:
    gone = replace(record, status=replace(record.status, control="http://127.0.0.1:9"))
    with pytest.raises(ServeError, match=r"does not answer \(.*refused"):
        control.update(gone, "models:/bot/8", follow=False)
    with pytest.raises(ServeError, match="it is still starting"):
        control.update(replace(record, status=Status()), "models:/bot/8", follow=False)
    assert Handler.asked == []
