"""Deliveries are answered at once, worked on one at a time, and each only once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from servers import answering

from llmops.records import ModelVersion
from llmops.serve.webhook.delivery import sign
from llmops.serve.webhook.inbox import LARGEST, Inbox
from llmops.store import registry

SECRET = "s" * 24
BODY = (
    '{"entity": "model_version_alias", "action": "created",'
    ' "data": {"name": "bot", "alias": "%s", "version": "1"}}'
)


class Gate:
    """Gates that are counted, and end when they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun: list[str] = []
        self.at_once = self.most = 0
        self.code = 3

    def __call__(self, uri: str) -> int:
        self.begun.append(uri)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        assert self.go.wait(20)
        self.at_once -= 1
        return self.code


Post = Callable[..., httpx.Response]


@pytest.fixture
def gate() -> Gate:
    return Gate()


def poster(url: str) -> Post:
    def post(name: str, alias: str = "challenger", secret: str = SECRET) -> httpx.Response:
        body, sent = (BODY % alias).encode(), str(int(time.time()))
        headers = {
            "X-MLflow-Delivery-Id": name,
            "X-MLflow-Timestamp": sent,
            "X-MLflow-Signature": sign(name, sent, body, secret),
        }
        return httpx.post(f"{url}/webhook", content=body, headers=headers)

    return post


@pytest.fixture
def post(version: ModelVersion, gate: Gate) -> Iterator[Post]:
    inbox = Inbox("bot", "challenger", SECRET, gate)
    with answering(inbox.app()) as url:
        yield poster(url)
        gate.go.set()
        inbox.close()


def tagged(name: str) -> dict[str, str]:
    """The version's tags, once they name a delivery."""
    deadline = time.monotonic() + 20
    while (found := registry.version_record("bot", "1").tags).get("llmops.delivery") != name:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return dict(found)


def test_a_delivery_is_gated_once_and_the_version_says_what_came_of_it(
    post: Post, gate: Gate
) -> None:
    first = post("d-1")
    assert (first.status_code, first.json()) == (202, {"status": "queued"}), "before the gate ends"
    again = post("d-1")
    assert (again.status_code, again.json()) == (200, {"status": "known"})
    gate.go.set()
    assert tagged("d-1")["llmops.gated"] == "REJECTED"
    assert gate.begun == ["models:/bot/1"]
    gate.code = 1
    post("d-2")
    assert tagged("d-2")["llmops.gated"] == "ERROR", "no verdict is not a verdict"


def test_several_are_gated_one_at_a_time(post: Post, gate: Gate) -> None:
    for number in range(4):
        assert post(f"d-{number}").status_code == 202
    gate.go.set()
    tagged("d-3")
    assert (len(gate.begun), gate.most) == (4, 1)


def test_a_delivery_that_was_worked_on_before_a_restart_is_not_again(
    version: ModelVersion, gate: Gate
) -> None:
    gate.go.set()
    registry.annotate_version("bot", "1", {"llmops.delivery": "d-1"})
    inbox = Inbox("bot", "challenger", SECRET, gate)
    with answering(inbox.app()) as url:
        assert poster(url)("d-1").status_code == 202
        poster(url)("d-2")
        tagged("d-2")
        inbox.close()
    assert gate.begun == ["models:/bot/1"], "for d-2 only"


def test_what_is_not_signed_too_large_or_about_something_else_gates_nothing(
    post: Post, gate: Gate
) -> None:
    assert post("d-1", secret="other").status_code == 401
    ignored = post("d-2", alias="champion")
    assert (ignored.status_code, ignored.json()) == (200, {"status": "ignored"})
    url = str(ignored.request.url)
    assert httpx.post(url, content=b"x" * (LARGEST + 1)).status_code == 413
    assert httpx.post(url, content=b"{}").status_code == 401
    assert httpx.get(url).status_code == 405
    assert httpx.get(url.replace("webhook", "livez")).text == "ok"
    assert gate.begun == []
