from __future__ import annotations

import asyncio
import signal
import socket

from starlette.responses import PlainTextResponse

from llmops.serve.gateway import server


def test_two_servers_share_a_loop_and_leave_the_signals_alone() -> None:
    async def scenario() -> list[bytes]:
        handler = signal.getsignal(signal.SIGTERM)
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        ports = [one.getsockname()[1] for one in sockets]
        servers = [server.make(PlainTextResponse(text)) for text in ("one", "two")]
        tasks = [
            asyncio.create_task(one.serve([at])) for one, at in zip(servers, sockets, strict=True)
        ]
        said = []
        for port in ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            said.append(await reader.read())
            writer.close()
        assert signal.getsignal(signal.SIGTERM) is handler
        for one in servers:
            one.should_exit = True
        await asyncio.gather(*tasks)
        return said

    one, two = asyncio.run(asyncio.wait_for(scenario(), 20))
    assert one.endswith(b"one")
    assert two.endswith(b"two")
    assert b"server:" not in one.lower()
