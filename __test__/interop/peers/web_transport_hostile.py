# A WebTransport client on aioquic that floods: after its session is open it sends what no library sends.
# usage: web_transport_hostile.py PORT CA FAULT

import asyncio
import sys

from aioquic import tls
from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

from lines import tell
from web_transport import WebTransportProtocol

PACKET = 1100
# So many packets wait in the server's socket at most.
BURST = 64
CONTENT = b"still served"
HEADERS = {
    ":method": "CONNECT",
    ":scheme": "https",
    ":authority": "localhost",
    ":path": "/",
    ":protocol": "webtransport",
    "sec-webtransport-http3-draft02": "1",
    "origin": "https://aioquic.test",
}
QPACK_PREFIX = b"\0\0"


def varint(value):
    return (value | 0x80000000).to_bytes(4, "big") if value >= 64 else bytes([value])


def prefixed(first, bits, value):
    """An integer of HPACK and QPACK behind the bits of `first`."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out = bytes([first | limit])
    value -= limit
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def literal(name, value):
    """A field line of QPACK with a literal name."""
    name, value = name.encode(), value.encode()
    return prefixed(0x20, 3, len(name)) + name + prefixed(0, 7, len(value)) + value


class HostileProtocol(WebTransportProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        loop = asyncio.get_running_loop()
        self.opened = loop.create_future()
        self.echoed = loop.create_future()
        self.terminated = loop.create_future()
        self.refused = loop.create_future()
        # What became of other requests, and with which codes the server refused streams.
        self.answers = []
        self.stops = []

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.terminated.set_result(event.error_code)
        if isinstance(event, StreamReset) and not self.refused.done():
            self.refused.set_result(event.error_code)
        super().quic_event_received(event)

    def request(self, path="/"):
        return self.send_request(HEADERS | {":path": path})

    def send_request(self, headers):
        return self.send_raw_request(QPACK_PREFIX + b"".join(literal(k, v) for k, v in headers.items()))

    def send_raw_request(self, section):
        """Sends a HEADERS frame past aioquic's own checks."""
        stream_id = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream_id, b"\x01" + varint(len(section)) + section)
        self.transmit()
        return stream_id

    def on_headers(self, stream_id, headers):
        if stream_id == self.session:
            self.opened.set_result(None)
        else:
            self.answers.append(int(headers[b":status"]))

    def on_reset(self, stream_id, wire_code):
        self.answers.append(wire_code)

    def on_stop(self, stream_id, wire_code):
        self.stops.append(wire_code)

    def on_stream(self, stream_id, data):
        self.echoed.set_result(data)

    def send_frames(self, frames):
        """Sends one packet of these frames past aioquic's own bookkeeping."""
        header = bytes([0x41 | self._quic._cryptos[tls.Epoch.ONE_RTT].key_phase << 2])
        number = self._quic._packet_number
        self._quic._packet_number += 1
        header += self._quic._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
        crypto = self._quic._cryptos[tls.Epoch.ONE_RTT]
        packet = crypto.encrypt_packet(header, frames, number)
        self._transport.sendto(packet, self._quic._network_paths[0].addr)

    async def send_all(self, frames):
        """Sends frames in full packets, and waits now and then until the server has taken them."""
        packet, packets = b"", 0
        for frame in frames:
            if len(packet) + len(frame) > PACKET:
                self.send_frames(packet)
                packet, packets = b"", packets + 1
                if packets % BURST == 0 and not await self.taken():
                    return
            packet += frame
        self.send_frames(packet)

    async def taken(self):
        ping = asyncio.ensure_future(self.ping())
        await asyncio.wait([ping, self.terminated], return_when=asyncio.FIRST_COMPLETED)
        return not self.terminated.done()

    # A stream that is reset before the server has room for it would break QUIC's own rules. An acknowledgement is no room yet.
    async def has_room_for(self, stream_id):
        while stream_id // 4 >= self._quic._remote_max_streams_bidi and not self.terminated.done():
            await self.taken()

    # One byte of each two of a stream of 1 MB: nothing of it can be read.
    async def do_gaps(self):
        stream_id = self.http.create_webtransport_stream(self.session, is_unidirectional=True)
        self.transmit()
        head = bytes([0x0E]) + varint(stream_id)
        await self.send_all(head + varint(offset) + b"\x01x" for offset in range(10, 1_000_000, 2))

    async def do_pings(self):
        await self.send_all(b"\x01" for _ in range(1_000_000))

    async def do_path_challenges(self):
        await self.send_all(b"\x1a" + n.to_bytes(8, "big") for n in range(200_000))

    async def do_retire_unknown(self):
        await self.send_all(b"\x19" + varint(n) for n in range(1000, 2000))

    async def do_unlimited_connection_ids(self):
        await self.send_all(
            b"\x18" + varint(n) + b"\x00\x08" + n.to_bytes(8, "big") + n.to_bytes(16, "big") for n in range(20, 1000)
        )

    async def do_requests(self):
        while not self.terminated.done():
            # Several at once: an acknowledgement may take 25 ms, and one request in that time is no flood.
            for _ in range(8):
                await self.has_room_for(self._quic.get_next_available_stream_id())
                stream_id = self.request()
                self.transmit()
                self._quic.reset_stream(stream_id, 0x10C)
                self._quic.stop_stream(stream_id, 0x10C)
            await self.taken()

    def send_plain_headers(self, stream_id):
        headers = {":method": "POST", ":scheme": "https", ":authority": "localhost", ":path": "/"}
        self.http.send_headers(stream_id, [(k.encode(), v.encode()) for k, v in headers.items()])

    async def do_plain_requests(self):
        while not self.terminated.done():
            stream_id = self._quic.get_next_available_stream_id()
            await self.has_room_for(stream_id)
            self.send_plain_headers(stream_id)
            self.transmit()
            self._quic.reset_stream(stream_id, 0x10C)
            self._quic.stop_stream(stream_id, 0x10C)
            await self.taken()

    # Half of a request's headers, and no more.
    async def do_half_headers(self):
        self._quic.send_stream_data(self._quic.get_next_available_stream_id(), b"\x01\x20\x00\x00")
        self.transmit()
        tell(event="refused", code=await self.refused)

    async def do_two_sessions(self):
        self.request()
        self.transmit()
        tell(event="refused", code=await self.refused)

    async def do_data_first(self):
        self._quic.send_stream_data(self._quic.get_next_available_stream_id(), b"\x00\x01x")
        self.transmit()
        await self.terminated

    async def do_data_behind_trailers(self):
        stream_id = self._quic.get_next_available_stream_id()
        self.send_plain_headers(stream_id)
        self.http.send_headers(stream_id, [(b"x-behind", b"1")])
        self._quic.send_stream_data(stream_id, b"\x00\x01x")
        self.transmit()
        await self.terminated

    # Each costs its stream, not the connection.
    async def do_malformed_requests(self):
        without = lambda name: {k: v for k, v in HEADERS.items() if k != name}
        for headers in (
            without(":protocol"),
            without(":scheme"),
            without(":authority"),
            without(":path"),
            without(":method"),
            HEADERS | {":scheme": "http"},
            HEADERS | {":protocol": "websocket"},
            HEADERS | {":status": "200"},
            HEADERS | {":unknown": "x"},
            HEADERS | {"Upper": "x"},
            HEADERS | {"a b": "x"},
            HEADERS | {"x": "a\r\nb: c"},
            HEADERS | {"connection": "close"},
        ):
            self.send_request(headers)
        twice = b"".join(literal(k, v) for k, v in HEADERS.items()) + literal(":path", "/other")
        self.send_raw_request(QPACK_PREFIX + twice)
        return await self.answered(14)

    async def answered(self, count):
        while len(self.answers) < count and not self.terminated.done():
            await self.taken()
        return {"answers": sorted(self.answers)}

    async def do_bad_index(self):
        self.send_raw_request(QPACK_PREFIX + prefixed(0xC0, 6, 10_000))
        await self.terminated

    async def do_dynamic_table(self):
        self.send_raw_request(b"\x02\0" + prefixed(0x80, 6, 0))
        await self.terminated

    # Nothing may be put into a table of no bytes.
    async def do_table_bomb(self):
        insert = prefixed(0x40, 5, 1) + b"x" + prefixed(0, 7, 1000) + b"y" * 1000
        for _ in range(64):
            self._quic.send_stream_data(self.http._local_encoder_stream_id, insert * 1000)
            self.transmit()
            await self.taken()

    async def do_large_headers(self):
        self.send_request(HEADERS | {"x": "y" * 1_000_000})
        return await self.answered(1)

    async def do_many_fields(self):
        section = QPACK_PREFIX + b"".join(literal(k, v) for k, v in HEADERS.items())
        self.send_raw_request(section + literal("x", "y") * 100_000)
        return await self.answered(1)

    # For a session that is never asked for.
    async def do_early_streams(self):
        for _ in range(40):
            self.http.create_webtransport_stream(4000, is_unidirectional=True)
        while len(self.stops) < 24 and not self.terminated.done():
            await self.taken()
        return {"stops": sorted(set(self.stops)), "count": len(self.stops)}

    async def do_slow_preamble(self):
        stream_id = self._quic.get_next_available_stream_id()
        self.own_streams.add(stream_id)
        for byte in b"\x40\x41" + varint(self.session) + CONTENT:
            self._quic.send_stream_data(stream_id, bytes([byte]))
            self.transmit()
            await self.taken()
        self._quic.send_stream_data(stream_id, b"", end_stream=True)
        self.transmit()
        return {"echoed": await self.echoed == CONTENT}

    # As much as the server takes, on streams that nobody reads.
    async def do_full_windows(self):
        for _ in range(100):
            self._quic.send_stream_data(self.http.create_webtransport_stream(self.session), bytes(500_000))
        before = None
        while before != (before := self._quic._remote_max_data_used):
            await self.taken()
        return {"taken": before}

    # Up to the limit; the streams stay open.
    async def do_stopped_streams(self):
        for _ in range(100):
            stream_id = self.http.create_webtransport_stream(self.session)
            self.own_streams.add(stream_id)
            self._quic.stop_stream(stream_id, 7)
        await self.taken()


async def main(port, ca, fault, path="/"):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], max_datagram_frame_size=65536, server_name="localhost"
    )
    configuration.load_verify_locations(ca)
    async with connect(
        "127.0.0.1", int(port), configuration=configuration, create_protocol=HostileProtocol
    ) as client:
        client.session = client.request(path)
        await client.opened
        seen = await getattr(client, f"do_{fault.replace('-', '_')}")()
        if seen is not None and ("echoed" in seen or "taken" in seen):
            tell(event="ended", **seen)
            return
        seen = seen or {}
        if not client.terminated.done():
            client.open_stream(CONTENT)
            client.transmit()
            await asyncio.wait([client.echoed, client.terminated], return_when=asyncio.FIRST_COMPLETED)
        if client.terminated.done():
            tell(event="ended", **seen, code=client.terminated.result())
        else:
            tell(event="ended", **seen, echoed=client.echoed.result() == CONTENT)


asyncio.run(main(*sys.argv[1:]))
