# A WebTransport server on aioquic that breaks the rules: the path of a request says how.
# usage: web_transport_faults.py CERT KEY [plain|other-alpn]

import asyncio
import os
import sys

from aioquic.asyncio import serve
from aioquic.h3.connection import H3Connection
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated

from lines import tell, told
from web_transport import WebTransportProtocol, close_session_capsule

OK = [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")]
ENDLESS = bytes([0x17, 0xFF]) + b"\xff" * 7
DRAIN = bytes([0x80, 0, 0x78, 0xAE, 0])


class FaultyProtocol(WebTransportProtocol):
    def at_datagram(self):
        """What the client's datagram asks for: nothing."""

    def on_headers(self, stream_id, headers):
        self.session = stream_id
        name = headers[b":path"].decode()[1:].replace("-", "_")
        tell(event="request", name=name)
        getattr(self, f"do_{name}")(stream_id)

    def ok(self, stream_id, data=b"", end=False):
        self.http.send_headers(stream_id, OK)
        if data or end:
            self.http.send_data(stream_id, data, end)

    def do_close_then_data(self, stream_id):
        self.ok(stream_id, close_session_capsule(5, "x") + b"more than a close")

    def do_close_twice(self, stream_id):
        self.ok(stream_id, close_session_capsule(5, "x") + close_session_capsule(6, "y"))

    def do_long_reason(self, stream_id):
        self.ok(stream_id, bytes([0x68, 0x43, 0x44, 0x05]) + bytes(1029))

    def do_no_code(self, stream_id):
        self.ok(stream_id, bytes([0x68, 0x43, 3, 0, 0, 0]))

    def do_bad_utf8(self, stream_id):
        self.ok(stream_id, bytes([0x68, 0x43, 7, 0, 0, 0, 1]) + b"a\xffb")

    def do_unknown_capsules(self, stream_id):
        unknown = bytes([0x17, 0x80, 0x10, 0, 0]) + bytes(0x100000)
        self.ok(stream_id, unknown + bytes([0x40, 0x99, 0]) + close_session_capsule(1, ""))

    def do_endless_capsule(self, stream_id):
        self.ok(stream_id, ENDLESS + bytes(1_000_000), True)

    def do_cut_capsule(self, stream_id):
        self.ok(stream_id, close_session_capsule(1, "reason")[:6], True)

    def do_fin(self, stream_id):
        self.ok(stream_id, b"", True)

    def do_cut_frame(self, stream_id):
        self.ok(stream_id)
        self._quic.send_stream_data(stream_id, bytes([0, 5, 1]), True)

    def do_reset(self, stream_id):
        self.ok(stream_id)
        self.at_datagram = lambda: self._quic.reset_stream(stream_id, 0x10C)

    def do_connection_close(self, stream_id):
        self.ok(stream_id)
        self.at_datagram = lambda: self._quic.close(error_code=0x1234, reason_phrase="enough")

    def do_stateless_reset(self, stream_id):
        self.ok(stream_id)
        self.at_datagram = self.forget

    def forget(self):
        """As a server that was started anew answers a packet of a connection from before."""
        token = self._quic._host_cids[0].stateless_reset_token
        self._transport.sendto(bytes([0x40]) + os.urandom(39) + token, self._quic._network_paths[0].addr)

    def do_goaway_first(self, stream_id):
        self._quic.send_stream_data(self.http._local_control_stream_id, bytes([7, 1, 0]))

    def do_interim(self, stream_id):
        self.http.send_headers(stream_id, [(b":status", b"103"), (b"link", b"x")])
        self.ok(stream_id)

    def do_data_first(self, stream_id):
        self._quic.send_stream_data(stream_id, bytes([0, 1, 1]))

    def do_no_answer(self, stream_id):
        self._quic.send_stream_data(stream_id, b"", True)

    def do_bad_status(self, stream_id):
        self.http.send_headers(stream_id, [(b":status", b"2oo")])

    def do_dynamic_table(self, stream_id):
        self._quic.send_stream_data(stream_id, bytes([1, 3, 2, 0, 0x80]))

    def do_unasked_protocol(self, stream_id):
        self.http.send_headers(stream_id, [*OK, (b"wt-protocol", b'"other"')])

    def do_large_headers(self, stream_id):
        self.http.send_headers(stream_id, [*OK, *[(b"x-%d" % n, b"y" * 100) for n in range(1000)]])

    def do_large_frame(self, stream_id):
        self._quic.send_stream_data(stream_id, bytes([1, 0xBF, 0xFF, 0xFF, 0xFF]))

    def do_drain(self, stream_id):
        self.ok(stream_id, DRAIN)

    def do_goaway(self, stream_id):
        self.ok(stream_id)
        self._quic.send_stream_data(self.http._local_control_stream_id, bytes([7, 1, 4]))

    def do_goaway_unanswered(self, stream_id):
        self._quic.send_stream_data(self.http._local_control_stream_id, bytes([7, 1, 0]))

    def do_foreign_code(self, stream_id):
        self.ok(stream_id)
        stream = self.http.create_webtransport_stream(stream_id, is_unidirectional=True)
        self._quic.send_stream_data(stream, b"x")
        # When the client says that it has the stream: a reset may overtake the stream's first bytes.
        self.at_datagram = lambda: self._quic.reset_stream(stream, 0x10C)

    def do_foreign_session(self, stream_id):
        # Streams of a session that nobody asked for, and of none that can be.
        self.ok(stream_id)
        self.http.create_webtransport_stream(400, is_unidirectional=True)
        stream = self._quic.get_next_available_stream_id(is_unidirectional=True)
        self._quic.send_stream_data(stream, bytes([0x40, 0x54, 0x01]))

    def on_stream(self, stream_id, data):
        self._quic.send_stream_data(stream_id, data, end_stream=True)

    def on_datagram(self, data):
        self.at_datagram()
        self.transmit()

    def on_reset(self, stream_id, wire_code):
        if stream_id == self.session:
            tell(event="reset", code=wire_code)

    def on_close(self, code, reason):
        self.end_session()
        tell(event="closed", code=code, reason=reason)


class PlainProtocol(WebTransportProtocol):
    """HTTP/3 without WebTransport: a request must not come."""

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        elif self.http is not None:
            for http_event in self.http.handle_event(event):
                tell(event="request", name=type(http_event).__name__)
        self.transmit()


async def main(cert, key, kind="faulty"):
    alpn = ["hq-interop"] if kind == "other-alpn" else ["h3"]
    configuration = QuicConfiguration(is_client=False, alpn_protocols=alpn, max_datagram_frame_size=65536)
    configuration.load_cert_chain(cert, key)
    protocol = FaultyProtocol if kind == "faulty" else PlainProtocol
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=protocol)
    tell(event="listening", port=server._transport.get_extra_info("sockname")[1])
    async for _ in told():
        pass
    server.close()


asyncio.run(main(*sys.argv[1:]))
