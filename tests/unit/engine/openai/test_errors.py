from __future__ import annotations

import json

import httpx
import pytest

from llmops.engine.openai.errors import ApiError, RequestError, reason_of, shown
from llmops.errors import UsageError


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (500, "server_error")]
)
def test_an_error_has_openai_s_shape(status: int, kind: str) -> None:
    body = ApiError(status, "wrong", param="n", code="c", headers={"Retry-After": "5"}).body()
    assert body == {"error": {"message": "wrong", "type": kind, "param": "n", "code": "c"}}


def test_a_refusal_is_a_usage_error_that_names_its_parameter() -> None:
    error = RequestError("n: wrong", param="n", next_command="leave it out")
    assert isinstance(error, UsageError)
    assert (error.message, error.param) == ("n: wrong", "n")
    assert "leave it out" in str(error)


def test_what_was_received_is_quoted_in_part() -> None:
    assert shown("hi") == "'hi'"
    assert len(shown(["x" * 1000])) == 80
    assert shown("x" * 1000).endswith("...")


def test_what_cannot_be_quoted_is_named_by_its_type() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "list"
    assert shown(10**5000) == "int"
    json.dumps(shown("\ud800")).encode()


def test_half_a_surrogate_pair_in_a_name_can_be_sent_back() -> None:
    body = ApiError(400, "\ud800: unknown", param="\ud800").body()
    assert json.dumps(body, ensure_ascii=False).encode("utf-8")
    assert body["error"]["param"] == "\\ud800"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b'{"error": "busy"}', '{"error": "busy"}'),
        (b"<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>"),
        (b"", "HTTP 502 Bad Gateway"),
    ],
)
def test_the_reason_of_a_refusal_is_found_in_whatever_a_server_sends(
    body: bytes, reason: str
) -> None:
    assert reason_of(httpx.Response(502, content=body)) == reason
