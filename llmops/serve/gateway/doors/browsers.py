"""What pages in a browser may ask: preflight requests, and refusals of other pages.

A browser sends a page's own origin along. Without a key, anything on this machine may ask, and so
could any page that a user opens: pages of other machines are refused unless they were named. With a
key, a page that knows it may ask, and only named pages may read the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llmops.engine.openai.errors import ApiError
from llmops.serve.deployment import origins

MAX_AGE = 600
"""Seconds for which a browser remembers the answer to a preflight request."""


def middleware(
    allowed: Sequence[str], *, keyless: bool, exposed: Sequence[str]
) -> list[Middleware]:
    """Return the middleware for requests from pages.

    Args:
        allowed: Origins that may ask and read, from ``origins.read``.
        keyless: Whether the server has no key: then pages from this machine may ask too, and all
            others are refused.
        exposed: Headers of a response that pages may read.
    """
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(allowed),
        allow_origin_regex=origins.LOOPBACK.pattern if keyless else None,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=list(exposed),
        max_age=MAX_AGE,
    )
    return [cors, Middleware(RefuseOtherPages, allowed=allowed)] if keyless else [cors]


class RefuseOtherPages:
    """Middleware that answers 403 to pages of other machines that nobody named.

    Args:
        app: Application to protect.
        allowed: Origins that may ask, besides those of this machine.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app, self._allowed = app, frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is None or origin in self._allowed or origins.LOOPBACK.fullmatch(origin):
            await self._app(scope, receive, send)
            return
        message = (
            f"pages from {origin[:200]!a} may not ask this deployment; to allow it, create the"
            " deployment with -C cors=ORIGIN (llmops serve --cors ORIGIN)"
        )
        error = ApiError(403, message, code="origin_not_allowed")
        await JSONResponse(error.body(), error.status)(scope, receive, send)
