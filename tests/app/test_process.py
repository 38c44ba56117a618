"""What every process serves its pages on."""

import asyncio
import socket

from engine.app.process import listening


async def test_what_is_small_is_sent_at_once() -> None:
    delays: list[bool] = []

    def met(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        delays.append(not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening("127.0.0.1:0", "http.listen") as listener:
        server = await asyncio.start_server(met, sock=listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await reader.read() == b""
        writer.close()
        server.close()
    assert delays == [False]
