"""Require the key for every path of a vLLM server, also where vLLM itself does not.

vLLM guards ``/v1`` and a few others. Without a key it answers ``/invocations`` and loads adapters by
``/adapters``, also over one that is being served, and every account of a machine reaches loopback.

vLLM's Python imports this file alone, as middleware, so it uses only the standard library.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

MODULE = "llmops_keyed"
"""Name under which vLLM imports this file."""
OPEN = ("/health", "/ping")
"""Paths that say only whether the server runs."""

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Any, Send], Awaitable[None]]


class EveryPath:
    """Answer 401 to requests without the key in ``VLLM_API_KEY``.

    Args:
        app: The server's ASGI application.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._expected = f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Pass on a request with the key."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or scope["path"] in OPEN or self._has_key(scope):
            await self._app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"error": "Unauthorized"}'})

    def _has_key(self, scope: Message) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self._expected)
