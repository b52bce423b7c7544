# A WebTransport client on aioquic: what the client's functions of ../webtransport-exercises.mjs do; the path says which.
# usage: web_transport_client.py PORT CA PATH [draft-02|draft-13]

import asyncio
import contextlib
import sys

from aioquic.asyncio import connect
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

from exporter import keying_material
from lines import tell
from web_transport import WebTransportProtocol, http_code, session_code

CONTENT = bytes(i * 7 & 0xFF for i in range(1024 * 1024))


CODES = [0, 100, 255]


class ClientProtocol(WebTransportProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        loop = asyncio.get_running_loop()
        self.opened = loop.create_future()
        self.terminated = loop.create_future()
        self.events = asyncio.Queue()
        self.session_stopped = False
        self.body = b""
        self.ended = loop.create_future()

    def quic_event_received(self, event):
        super().quic_event_received(event)
        if isinstance(event, ConnectionTerminated):
            self.terminated.set_result(None)
            if not self.opened.done():
                self.opened.set_exception(ConnectionError(f"{event.error_code:#x} {event.reason_phrase}"))

    def _http_event_received(self, event):
        super()._http_event_received(event)
        if isinstance(event, (HeadersReceived, DataReceived)) and event.stream_id == self.session:
            self.body += getattr(event, "data", b"")
            if event.stream_ended and not self.ended.done():
                self.ended.set_result(None)

    def request(self, authority, path):
        self.session = self._quic.get_next_available_stream_id()
        headers = {
            ":method": "CONNECT",
            ":scheme": "https",
            ":authority": authority,
            ":path": path,
            ":protocol": "webtransport",
            "origin": "https://aioquic.test",
            "wt-available-protocols": '"webwire-one", "webwire-two"',
        }
        if self.draft == "draft-02":
            headers["sec-webtransport-http3-draft02"] = "1"
        self.http.send_headers(self.session, [(k.encode(), v.encode()) for k, v in headers.items()])
        self.transmit()

    def on_headers(self, stream_id, headers):
        self.opened.set_result(headers)

    def on_data(self, stream_id, data):
        self.events.put_nowait(("data", stream_id, data))

    def on_stream(self, stream_id, data):
        self.events.put_nowait(("stream", stream_id, data))

    def on_reset(self, stream_id, wire_code):
        self.events.put_nowait(("reset", stream_id, session_code(wire_code)))

    def on_stop(self, stream_id, wire_code):
        if stream_id == self.session:
            self.session_stopped = True
        else:
            self.events.put_nowait(("stop", stream_id, session_code(wire_code)))

    def on_datagram(self, data):
        self.events.put_nowait(("datagram", None, data))

    def on_drain(self):
        self.events.put_nowait(("drain", None, None))

    def on_close(self, code, reason):
        self.events.put_nowait(("close", code, reason))

    async def next(self, *kinds):
        """The next event of one of these kinds; others are passed over."""
        while (event := await self.events.get())[0] not in kinds:
            pass
        return event

    async def do_everything(self):
        kind, greeting, data = await self.next("stream")
        check("greeting", data, b"hello from the server")
        self._quic.send_stream_data(greeting, b"hello from the client", end_stream=True)
        bidirectional = self.open_stream(CONTENT)
        self.open_stream(CONTENT, unidirectional=True)
        self.http.send_datagram(self.session, b"a datagram")
        self.transmit()
        for _ in range(3):
            kind, stream_id, data = await self.next("stream", "datagram")
            if kind == "datagram":
                check("datagram", data, b"a datagram")
            else:
                check("bidirectional" if stream_id == bidirectional else "unidirectional", data, CONTENT)
        self.close_session(7, "done")

    async def do_reset(self):
        for code in CODES:
            stream_id = self.open_stream(bytes([code]), end=False)
            self.transmit()
            await self.next("data")
            self._quic.reset_stream(stream_id, http_code(code))
            self.transmit()
            _, _, heard = await self.next("reset")
            tell(event="heard", code=heard)
        await self.closed()

    async def do_stop(self):
        for code in CODES:
            stream_id = self.open_stream(bytes([code]), end=False)
            self.transmit()
            await self.next("data")
            self._quic.send_stream_data(stream_id, b"x")
            self.transmit()
            _, _, heard = await self.next("stop")
            tell(event="heard", code=heard)
            self._quic.stop_stream(stream_id, http_code(code))
            self.transmit()
        await self.closed()

    async def do_closed(self):
        await self.closed()

    async def do_keying(self):
        self.open_stream(keying_material(self._quic, self.session, b"label", b"context", 77), unidirectional=True)
        self.transmit()
        await self.closed()

    async def closed(self):
        _, code, reason = await self.next("close")
        # The server has the acknowledgement of its close before it has our end.
        await self.ping()
        self.end_session()
        self.transmit()
        await self.ping()
        tell(event="closed", code=code, reason=reason, stopped=self.session_stopped)

    async def do_drain(self):
        before = self.open_stream(b"1", end=False)
        self.transmit()
        await self.next("drain")
        self._quic.send_stream_data(before, b"23", end_stream=True)
        self.transmit()
        # The server opens a stream of its own too.
        stream_id = None
        while stream_id != before:
            _, stream_id, data = await self.next("stream")
        tell(event="echoed", text=data.decode())
        self.close_session(7, "done")


def check(part, data, expected):
    if data != expected:
        raise ValueError(f"the {part} part came back changed")


async def main(port, ca, path, draft="draft-02"):
    ClientProtocol.draft = draft
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], max_datagram_frame_size=65536, server_name="localhost"
    )
    configuration.load_verify_locations(ca)
    async with connect("127.0.0.1", int(port), configuration=configuration, create_protocol=ClientProtocol) as client:
        client.request(f"localhost:{port}", f"/{path}")
        headers = await client.opened
        status = int(headers[b":status"])
        tell(event="answer", status=status, protocol=headers.get(b"wt-protocol", b"").decode())
        if status != 200:
            await client.ended
            fields = {name.decode(): value.decode() for name, value in headers.items() if name[:1] != b":"}
            tell(event="refused", headers=fields, body=client.body.decode())
        else:
            await getattr(client, f"do_{path}")()
            client.transmit()
            # The server may end the connection first.
            with contextlib.suppress(ConnectionError):
                await client.ping()
        tell(event="done")


asyncio.run(main(*sys.argv[1:]))
