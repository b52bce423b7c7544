# A WebTransport client on aioquic: the same round trips as exerciseWebTransport() in ../exercises.mjs.
# usage: web_transport_client.py PORT CA PATH

import asyncio
import sys

from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

from lines import tell
from web_transport import WebTransportProtocol

CONTENT = bytes(i * 7 & 0xFF for i in range(100_000))


class ClientProtocol(WebTransportProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.opened = asyncio.get_running_loop().create_future()
        self.done = asyncio.get_running_loop().create_future()
        self.missing = {"bidirectional", "unidirectional", "greeting", "datagram"}
        self.bidirectional = None

    def quic_event_received(self, event):
        super().quic_event_received(event)
        if isinstance(event, ConnectionTerminated):
            for future in (self.opened, self.done):
                if not future.done():
                    future.set_exception(ConnectionError(f"{event.error_code:#x} {event.reason_phrase}"))

    def request(self, authority, path):
        self.session = self._quic.get_next_available_stream_id()
        headers = {
            ":method": "CONNECT",
            ":scheme": "https",
            ":authority": authority,
            ":path": path,
            ":protocol": "webtransport",
            "sec-webtransport-http3-draft02": "1",
            "origin": "https://aioquic.test",
        }
        self.http.send_headers(self.session, [(k.encode(), v.encode()) for k, v in headers.items()])
        self.transmit()

    def on_headers(self, stream_id, headers):
        if headers[b":status"] == b"200":
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(f"status {headers[b':status'].decode()}"))

    def exercise(self):
        self.bidirectional = self.open_stream(CONTENT)
        self.open_stream(CONTENT, unidirectional=True)
        self.http.send_datagram(self.session, b"a datagram")
        self.transmit()

    def on_stream(self, stream_id, data):
        if stream_id == self.bidirectional:
            self._check("bidirectional", data == CONTENT)
        elif stream_id & 2:
            self._check("unidirectional", data == CONTENT)
        else:
            self._quic.send_stream_data(stream_id, b"hello from the client", end_stream=True)
            self._check("greeting", data == b"hello from the server")

    def on_datagram(self, data):
        self._check("datagram", data == b"a datagram")

    def _check(self, part, equal):
        if not equal:
            self.done.set_exception(ValueError(f"the {part} part came back changed"))
        self.missing.discard(part)
        if not self.missing and not self.done.done():
            self.done.set_result(None)


async def main(port, ca, path):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], max_datagram_frame_size=65536, server_name="localhost"
    )
    configuration.load_verify_locations(ca)
    async with connect("127.0.0.1", int(port), configuration=configuration, create_protocol=ClientProtocol) as client:
        client.request(f"localhost:{port}", path)
        await client.opened
        client.exercise()
        await client.done
        client.close_session(7, "done")
        client.transmit()
        tell(event="done")
        await client.ping()


asyncio.run(main(*sys.argv[1:]))
