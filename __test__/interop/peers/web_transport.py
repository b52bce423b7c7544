# WebTransport on aioquic, both roles: what the H3Connection of aioquic leaves to its user.
# https://datatracker.ietf.org/doc/html/draft-ietf-webtrans-http3-02

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection, Setting
from aioquic.h3.events import DataReceived, DatagramReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.events import ProtocolNegotiated, StopSendingReceived, StreamDataReceived, StreamReset

CLOSE_SESSION = 0x2843
DRAIN_SESSION = 0x78AE
FIRST_CODE = 0x52E4A40FA8DB
# What announces WebTransport: draft 02's setting, which aioquic knows, or draft 13's, which is Safari's only one.
ANNOUNCED_BY = {"draft-02": Setting.ENABLE_WEBTRANSPORT, "draft-13": 0x14E9CD29}


def pull_varint(data, at):
    size = 1 << (data[at] >> 6)
    value = data[at] & 0x3F
    for byte in data[at + 1 : at + size]:
        value = value << 8 | byte
    return value, at + size


def http_code(code):
    """An error code of a stream as it goes over the wire."""
    return FIRST_CODE + code + code // 0x1E


def session_code(wire):
    """And back."""
    shifted = wire - FIRST_CODE
    return shifted - shifted // 0x1F


def close_session_capsule(code, reason):
    value = code.to_bytes(4, "big") + reason.encode()
    return (0x4000 | CLOSE_SESSION).to_bytes(2, "big") + bytes([len(value)]) + value


class Http3Connection(H3Connection):
    def __init__(self, quic, draft):
        self.draft = draft
        super().__init__(quic, enable_webtransport=True)

    def _get_local_settings(self):
        settings = super()._get_local_settings()
        del settings[Setting.ENABLE_WEBTRANSPORT]
        return settings | {ANNOUNCED_BY[self.draft]: 1}


class WebTransportProtocol(QuicConnectionProtocol):
    """One connection with at most one session. Subclasses override the on_… methods."""

    draft = "draft-02"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = None
        self.session = None
        self.own_streams = set()  # bidirectional ones: aioquic takes the peer's half of them for HTTP/3 frames
        self.received = {}
        self.capsules = b""

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = Http3Connection(self._quic, self.draft)
        if isinstance(event, StreamDataReceived) and event.stream_id in self.own_streams:
            self._collect(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, StreamReset):
            self.on_reset(event.stream_id, event.error_code)
        elif isinstance(event, StopSendingReceived):
            self.on_stop(event.stream_id, event.error_code)
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
                self.on_close(int.from_bytes(value[:4], "big"), value[4:].decode())
            if kind == DRAIN_SESSION:
                self.on_drain()

    def _collect(self, stream_id, data, ended):
        self.on_data(stream_id, data)
        whole = self.received.setdefault(stream_id, bytearray())
        whole += data
        if ended:
            self.on_stream(stream_id, bytes(self.received.pop(stream_id)))

    def open_stream(self, data, unidirectional=False, end=True):
        """Opens a stream, sends `data`, and ends it if nothing else is said."""
        stream_id = self.http.create_webtransport_stream(self.session, is_unidirectional=unidirectional)
        if not unidirectional:
            self.own_streams.add(stream_id)
        self._quic.send_stream_data(stream_id, data, end_stream=end)
        return stream_id

    def close_session(self, code, reason):
        self.http.send_data(self.session, close_session_capsule(code, reason), end_stream=True)

    def on_headers(self, stream_id, headers):
        """The request (server) or the response (client) of the CONNECT stream."""

    def on_stream(self, stream_id, data):
        """A stream of the peer, or the peer's half of our bidirectional stream, arrived to its end."""

    def on_data(self, stream_id, data):
        """A part of such a stream arrived."""

    def on_reset(self, stream_id, wire_code):
        """The peer gave up its half of a stream."""

    def on_stop(self, stream_id, wire_code):
        """The peer wants no more of our half of a stream."""

    def on_datagram(self, data):
        """A datagram of the session arrived."""

    def on_close(self, code, reason):
        """The peer closed the session; it expects the end of our half."""
        self.end_session()

    def on_drain(self):
        """The peer wishes that the session ends."""

    def end_session(self):
        self._quic.send_stream_data(self.session, b"", end_stream=True)
