from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.datastructures import Headers

from llmops.engine.openai.errors import ApiError
from llmops.serve.gateway.doors import body
from llmops.serve.gateway.proxy.client import Gone


def sending(*pieces: bytes, ends: bool = True) -> Callable[[], Awaitable[dict[str, Any]]]:
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(0 if ends else 60)
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left) or not ends}

    return receive


def read(*pieces: bytes, ends: bool = True, limit: int = 10, **headers: str) -> bytes:
    given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return asyncio.run(body.read(sending(*pieces, ends=ends), given, limit))


def refused(*pieces: bytes, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(*pieces, **options)
    return caught.value


def test_a_body_is_put_together() -> None:
    assert read(b"abc", b"def") == b"abcdef"
    assert read(b"0123456789", content_length="10") == b"0123456789"
    assert read(b"") == b""


def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    assert refused(b"a" * 11).status == 413
    assert refused(b"", content_length="11").status == 413
    assert refused(b"", content_length="9" * 5000).status == 413
    assert refused(b"", content_length="-1").status == 413
    assert refused(*[b"abc"] * 100).headers == {"Connection": "close"}


def test_a_body_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.05)
    assert refused(b"ab", ends=False).status == 408


def test_a_client_that_leaves_is_no_error_of_anybody() -> None:
    with pytest.raises(Gone):
        asyncio.run(body.read(sending(), Headers({}), 10))


def test_a_length_and_chunks_together_are_refused() -> None:
    for headers in ({"content-length": "5"}, {"transfer-encoding": "chunked"}, {}):
        body.check_framing(Headers(headers))
    with pytest.raises(ApiError) as caught:
        body.check_framing(Headers({"content-length": "5", "transfer-encoding": "chunked"}))
    assert caught.value.status == 400
    assert caught.value.headers["Connection"] == "close"
