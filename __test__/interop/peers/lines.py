# JSON lines over stdin and stdout: how the test and a counterpart in Python talk.

import asyncio
import json
import sys


def tell(**message):
    """Writes one line to the test."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def told():
    """Yields the test's lines until it closes our stdin."""
    reader = asyncio.StreamReader(limit=2**22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)
