# A WebSocket echo server, or a client of one that does what exerciseWebSocket() in ../exercises.mjs does, with the
# package websockets.
# usage: web_socket.py server COMPRESSION
#        web_socket.py client COMPRESSION PORT
# COMPRESSION is "deflate" or "none".

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from lines import tell, told

CONTENT = bytes(i * 7 & 0xFF for i in range(100_000))
PROTOCOLS = ["webwire-test"]


def extensions_of(socket):
    return [extension.name for extension in socket.protocol.extensions]


async def echo(socket):
    tell(event="open", protocol=socket.subprotocol, extensions=extensions_of(socket))
    try:
        while True:
            await socket.send(await socket.recv())
    except ConnectionClosed:
        pass
    tell(event="closed", code=socket.close_code, reason=socket.close_reason)


async def serve_echo(compression):
    async with serve(echo, "127.0.0.1", 0, subprotocols=PROTOCOLS, compression=compression) as server:
        tell(event="listening", port=server.sockets[0].getsockname()[1])
        async for _ in told():
            pass


async def exercise(compression, port):
    uri = f"ws://127.0.0.1:{port}/"
    async with connect(uri, subprotocols=PROTOCOLS, compression=compression, max_size=2**24) as socket:
        tell(event="open", protocol=socket.subprotocol, extensions=extensions_of(socket))
        for message in ["text with ümlauts", "", CONTENT, "compressible " * 10_000]:
            await socket.send(message)
            if await socket.recv() != message:
                raise ValueError("the message came back changed")
        await socket.close(3333, "done")
    tell(event="closed", code=socket.close_code, reason=socket.close_reason)


role, compression, *rest = sys.argv[1:]
compression = None if compression == "none" else compression
asyncio.run(serve_echo(compression) if role == "server" else exercise(compression, rest[0]))
