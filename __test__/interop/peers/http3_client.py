# A plain HTTP/3 client on aioquic.
# usage: http3_client.py PORT CA METHOD PATH [BYTES]

import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration

from lines import tell


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.status = None
        self.content = b""
        self.answered = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        for http_event in self.http.handle_event(event):
            if isinstance(http_event, HeadersReceived):
                self.status = int(dict(http_event.headers)[b":status"])
            if isinstance(http_event, DataReceived):
                self.content += http_event.data
            if isinstance(http_event, (HeadersReceived, DataReceived)) and http_event.stream_ended:
                self.answered.set_result(None)

    def ask(self, method, path, content):
        stream_id = self._quic.get_next_available_stream_id()
        headers = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path}
        self.http.send_headers(stream_id, [(k.encode(), v.encode()) for k, v in headers.items()], not content)
        if content:
            self.http.send_data(stream_id, content, True)
        self.transmit()


async def main(port, ca, method, path, length="0"):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
    configuration.load_verify_locations(ca)
    content = bytes(n * 7 % 256 for n in range(int(length)))
    async with connect("127.0.0.1", int(port), configuration=configuration, create_protocol=Client) as client:
        client.ask(method, path, content)
        await client.answered
        tell(event="answer", status=client.status, length=len(client.content), same=client.content == content)


asyncio.run(main(*sys.argv[1:]))
