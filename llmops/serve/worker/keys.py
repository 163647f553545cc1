"""Refuse requests without the worker's key."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llmops.engine.openai.errors import ApiError
from llmops.files import digest


class RequireKey:
    """Middleware that answers 401 to requests without the key.

    Args:
        app: Application to protect.
        key: The key; only its hash is kept.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key_hash = app, digest.of_bytes(key.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        given = digest.of_bytes(token.strip().encode())
        if scheme.lower() == "bearer" and hmac.compare_digest(given, self._key_hash):
            await self._app(scope, receive, send)
            return
        message = "missing or wrong key; send the header `Authorization: Bearer KEY`"
        error = ApiError(401, message, code="invalid_api_key")
        response = JSONResponse(error.body(), 401, {"WWW-Authenticate": "Bearer"})
        await response(scope, receive, send)
