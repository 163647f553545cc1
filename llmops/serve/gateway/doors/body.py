"""The body of a request: of limited size, and sent in limited time."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Receive

from llmops.engine.openai.errors import ApiError
from llmops.serve.gateway.proxy.client import Gone

SECONDS = 30.0
"""Seconds that a client may take to send its body."""
CLOSE = {"Connection": "close"}


def check_framing(headers: Headers) -> None:
    """Refuse a request whose end two servers might see in different places.

    Raises:
        ApiError: It has a length and is chunked as well (400).
    """
    if "transfer-encoding" in headers and "content-length" in headers:
        raise ApiError(
            400,
            "Content-Length and Transfer-Encoding: only one of them is allowed",
            headers=CLOSE,
        )


async def read(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return the body; stop reading as soon as it is known to be too large.

    Args:
        receive: ASGI's channel from the client.
        headers: Headers of the request.
        limit: Most bytes of the body.

    Raises:
        ApiError: It is too large (413), or takes too long (408).
        Gone: The client left before its end.
    """
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > limit:
        raise _too_large(limit)
    body = b""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += bytes(message.get("body", b""))
                if len(body) > limit:
                    raise _too_large(limit)
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise ApiError(
            408, f"the body was not complete after {SECONDS:.0f} s", headers=CLOSE
        ) from None


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body exceeds {limit} bytes", headers=CLOSE)
