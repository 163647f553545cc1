"""The control server: how the commands on this machine speak to a running gateway.

It listens on loopback at a random port and demands a token, which only this account can read.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from llmops.engine.openai.errors import ApiError
from llmops.errors import LlmopsError
from llmops.serve.gateway.doors import body
from llmops.serve.gateway.proxy.client import Gone
from llmops.serve.gateway.proxy.reply import Reply
from llmops.serve.gateway.versions.engine import NotNow

MAX_BODY = 1 << 16
BUSY, REFUSED = 409, 422
"""Statuses of an update that another one prevents, and of a version that cannot serve."""


@dataclass(frozen=True)
class Control:
    """Where a running gateway takes commands.

    Attributes:
        url: Such as ``http://127.0.0.1:40123``.
        token: Token for ``Authorization: Bearer``.
        pid: Process id of the gateway.
    """

    url: str
    token: str
    pid: int


Status = Callable[[], Mapping[str, object]]
Update = Callable[[str | None, bool], Awaitable[Mapping[str, object]]]


class ControlApp:
    """ASGI application with ``GET /status`` and ``POST /update``; SIGTERM ends a gateway.

    Args:
        token: The token.
        status: Returns the status.
        update: Swaps to a URI, or with ``None`` to wherever the alias points now; the second
            argument says whether to follow an alias from then on.
    """

    def __init__(self, token: str, status: Status, update: Update) -> None:
        self._token, self._status, self._update = token, status, update

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a command."""
        if scope["type"] != "http":
            return
        reply = Reply(send)
        headers = Headers(scope=scope)
        given = headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            await reply.error(ApiError(401, "missing or wrong token"))
            return
        try:
            await self._command(f"{scope['method']} {scope['path']}", headers, receive, reply)
        except ApiError as error:
            await reply.error(error)
        except Gone:
            return

    async def _command(
        self, command: str, headers: Headers, receive: Receive, reply: Reply
    ) -> None:
        if command == "GET /status":
            await reply.json(self._status())
        elif command == "POST /update":
            await self._swap(await body.read(receive, headers, MAX_BODY), reply)
        else:
            raise ApiError(404, f"{command}: there is no such command")

    async def _swap(self, raw: bytes, reply: Reply) -> None:
        try:
            given = json.loads(raw)
            uri, follow = given["uri"], bool(given.get("follow", True))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ApiError(400, 'expected {"uri": "models:/NAME/VERSION" or null}') from None
        try:
            await reply.json(await self._update(uri, follow))
        except LlmopsError as error:
            status = BUSY if isinstance(error, NotNow) else REFUSED
            shown = {"message": error.message, "next": error.next_command}
            await reply.json({"error": shown}, status)
