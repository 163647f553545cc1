"""Relay an engine's answer to the client: whole, or event by event as it arrives.

What is relayed was read: an answer that names another model, or an event that is not JSON, never
reaches the client. A stream that does not end as the protocol demands ends with an error event and
without ``[DONE]``, so that no client takes it for finished.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from aiohttp import ClientError, ClientResponse

from llmops.engine.openai.errors import ApiError
from llmops.serve.gateway.hooks import Exchange, Record
from llmops.serve.gateway.proxy import events
from llmops.serve.gateway.proxy.asked import Asked
from llmops.serve.gateway.proxy.client import Presence
from llmops.serve.gateway.proxy.events import Malformed
from llmops.serve.gateway.proxy.reply import Reply
from llmops.serve.gateway.proxy.stream import EngineFailed, Stream, count
from llmops.serve.gateway.proxy.upstream import EngineLost, Upstream
from llmops.serve.gateway.versions.router import Target, unavailable

ANSWER_SECONDS = 600.0
"""Seconds until a whole answer, or the first event of a stream."""
END_SECONDS = 0.5
"""Seconds to wait for the end of a finished stream, so that its connection can be used again."""
OURS = (401, 403, 404, 405)
"""Statuses with which an engine refuses the gateway, not the client."""


class SlowClient(Exception):
    """The client does not read its answer."""


class Relay:
    """One request on its way to an engine and back.

    Args:
        upstream: Connections to the engines.
        target: The version that answers.
        exchange: The request, whose outcome is written down.
        record: The record of the exchange.
        reply: The response to the client.
        client: The client's presence.
        stall: Seconds between two events after which a stream counts as broken off.
    """

    def __init__(
        self,
        upstream: Upstream,
        target: Target,
        exchange: Exchange,
        record: Record,
        reply: Reply,
        client: Presence,
        stall: float,
    ) -> None:
        self._upstream, self._target, self._exchange = upstream, target, exchange
        self._record, self._reply, self._client, self._stall = record, reply, client, stall
        self._sending = False
        self._began = time.perf_counter()

    async def run(self, asked: Asked) -> None:
        """Ask the engine and relay its answer.

        Raises:
            ApiError: The engine failed before anything was sent; the client is to read this.
            SlowClient: The client has not read its stream for as long as an engine may stall.
        """
        body = asked.body(self._target.served.name)
        engine, path = self._target.engine, self._exchange.path
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS) as limit,
                self._upstream.post(engine, path, body) as response,
            ):
                if asked.stream and response.status == 200:
                    await self._stream(response, asked.usage, limit)
                else:
                    await self._whole(response)
        except TimeoutError:
            if self._sending:
                self._exchange.error = "slow_client"
                raise SlowClient from None
            await self._fail("stalled", "the engine stopped answering", 504)
        except EngineLost:
            await self._fail("cut", "the engine broke off", 503)
        except EngineFailed:
            await self._fail("failed", "the engine failed", 502)
        except Malformed:
            await self._fail("malformed", "the engine's answer cannot be read", 502)

    async def _whole(self, response: ClientResponse) -> None:
        payload = await response.read()
        if response.status >= 500 or response.status in OURS:
            raise self._refusal(response)
        fields = events.read(payload, self._target.served.name)
        if response.status == 200:
            count(self._exchange, fields.get("usage"))
            self._exchange.answer = payload
        else:
            self._exchange.error = "refused"
        self._client.finish()
        await self._reply.whole(response.status, payload)

    def _refusal(self, response: ClientResponse) -> ApiError:
        if response.status == 503:
            self._exchange.error = "busy"
            error = unavailable("the engine has no place for another request")
            wait = response.headers.get("Retry-After", "")
            if wait.isdecimal():
                error.headers["Retry-After"] = wait
            return error
        self._target.engine.suspect()
        self._exchange.error = "failed"
        return ApiError(502, "the engine failed", code="engine_failed")

    async def _stream(self, response: ClientResponse, usage: bool, limit: asyncio.Timeout) -> None:
        """Relay events; the headers go with the first, so that a failure before it has a status."""
        stream = Stream(self._exchange, self._began, usage=usage, keep=self._record.content)
        loop = asyncio.get_running_loop()
        async for piece in response.content.iter_any():
            ready = stream.take(piece)
            if stream.done:
                await self._end(ready + events.LAST)
                await _read_to_end(response)
                return
            if ready:
                limit.reschedule(loop.time() + self._stall)
                await self._send(ready)
            if stream.failure:
                raise stream.failure
        raise EngineLost("ended early")

    async def _send(self, ready: bytes) -> None:
        self._sending = True
        if not self._reply.status:
            await self._reply.begin()
        await self._reply.piece(ready)
        self._sending = False

    async def _end(self, last: bytes) -> None:
        self._sending = True
        if not self._reply.status:
            await self._reply.begin()
        self._client.finish()
        await self._reply.end(last)
        self._sending = False

    async def _fail(self, kind: str, what: str, status: int) -> None:
        """End a stream that began with an error event; before it, raise the error."""
        if not self._reply.status:
            self._exchange.error = kind
            if status == 503:
                raise unavailable(what) from None
            raise ApiError(status, what, code=f"engine_{kind}") from None
        self._exchange.error = f"stream_{kind}"
        error = ApiError(status, f"{what}: the answer is not complete", code=f"stream_{kind}")
        self._client.finish()
        await self._reply.end(events.of_json(error.body()))


async def _read_to_end(response: ClientResponse) -> None:
    with suppress(TimeoutError, ClientError, OSError):
        async with asyncio.timeout(END_SECONDS):
            await response.content.readany()
