# WebTransport on aioquic, both roles: what the H3Connection of aioquic leaves to its user.
# https://datatracker.ietf.org/doc/html/draft-ietf-webtrans-http3-02

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, DatagramReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.events import ProtocolNegotiated, StreamDataReceived

CLOSE_SESSION = 0x2843


def pull_varint(data, at):
    size = 1 << (data[at] >> 6)
    value = data[at] & 0x3F
    for byte in data[at + 1 : at + size]:
        value = value << 8 | byte
    return value, at + size


def close_session_capsule(code, reason):
    value = code.to_bytes(4, "big") + reason.encode()
    return (0x4000 | CLOSE_SESSION).to_bytes(2, "big") + bytes([len(value)]) + value


class WebTransportProtocol(QuicConnectionProtocol):
    """One connection with at most one session. Subclasses override the on_… methods."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = None
        self.session = None
        self.own_streams = set()  # bidirectional ones: aioquic takes the peer's half of them for HTTP/3 frames
        self.received = {}
        self.capsules = b""

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        if isinstance(event, StreamDataReceived) and event.stream_id in self.own_streams:
            self._collect(event.stream_id, event.data, event.end_stream)
        elif self.http is not None:
            for http_event in self.http.handle_event(event):
                self._http_event_received(http_event)
        self.transmit()

    def _http_event_received(self, event):
        if isinstance(event, HeadersReceived):
            self.on_headers(event.stream_id, dict(event.headers))
        elif isinstance(event, WebTransportStreamDataReceived):
            self._collect(event.stream_id, event.data, event.stream_ended)
        elif isinstance(event, DatagramReceived):
            self.on_datagram(event.data)
        elif isinstance(event, DataReceived) and event.stream_id == self.session:
            self.capsules += event.data
            self._read_capsules()

    def _read_capsules(self):
        while len(self.capsules) >= 2:
            try:
                kind, at = pull_varint(self.capsules, 0)
                length, at = pull_varint(self.capsules, at)
            except IndexError:
                return
            if len(self.capsules) < at + length:
                return
            value, self.capsules = self.capsules[at : at + length], self.capsules[at + length :]
            if kind == CLOSE_SESSION:
                self._quic.send_stream_data(self.session, b"", end_stream=True)
                self.on_close(int.from_bytes(value[:4], "big"), value[4:].decode())

    def _collect(self, stream_id, data, ended):
        whole = self.received.setdefault(stream_id, bytearray())
        whole += data
        if ended:
            self.on_stream(stream_id, bytes(self.received.pop(stream_id)))

    def open_stream(self, data, unidirectional=False):
        """Opens a stream, sends all of `data` and ends it."""
        stream_id = self.http.create_webtransport_stream(self.session, is_unidirectional=unidirectional)
        if not unidirectional:
            self.own_streams.add(stream_id)
        self._quic.send_stream_data(stream_id, data, end_stream=True)
        return stream_id

    def close_session(self, code, reason):
        self.http.send_data(self.session, close_session_capsule(code, reason), end_stream=True)

    def on_headers(self, stream_id, headers):
        """The request (server) or the response (client) of the CONNECT stream."""

    def on_stream(self, stream_id, data):
        """A stream of the peer, or the peer's half of our bidirectional stream, arrived to its end."""

    def on_datagram(self, data):
        """A datagram of the session arrived."""

    def on_close(self, code, reason):
        """The peer closed the session."""
