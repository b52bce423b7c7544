# A WebTransport server on aioquic that keeps the contracts of ../webtransport-exercises.mjs; the path of a request says which.
# usage: web_transport_server.py CERT KEY [draft-02|draft-13]

import asyncio
import sys

from aioquic.asyncio import serve
from aioquic.quic.configuration import QuicConfiguration

from exporter import keying_material
from lines import tell, told
from web_transport import WebTransportProtocol, http_code, session_code

DRAIN = bytes([0x80, 0, 0x78, 0xAE, 0])


class ExerciseProtocol(WebTransportProtocol):
    def on_headers(self, stream_id, headers):
        self.exercise = headers.get(b":path", b"/").decode()[1:]
        if headers.get(b":protocol") != b"webtransport" or self.exercise == "refused":
            self.http.send_headers(stream_id, [(b":status", b"403")], end_stream=True)
            return
        self.session = stream_id
        self.given_up = 0
        answer = [(b":status", b"200")]
        if self.draft == "draft-02":
            answer.append((b"sec-webtransport-http3-draft", b"draft02"))
        if b"wt-available-protocols" in headers:
            # The second of the list.
            answer.append((b"wt-protocol", headers[b"wt-available-protocols"].split(b",")[1].strip()))
        self.http.send_headers(stream_id, answer)
        tell(event="session", path=self.exercise)
        if self.exercise == "everything":
            self.greeting = self.open_stream(b"hello from the server")
        elif self.exercise == "closed":
            self.close_session(2**32 - 1, "bye €")
        elif self.exercise == "drain":
            self.http.send_data(stream_id, DRAIN, end_stream=False)
            self.open_stream(b"1", unidirectional=True)
        elif self.exercise == "keying":
            self.open_stream(keying_material(self._quic, stream_id, b"label", b"context", 77), unidirectional=True)

    def on_stream(self, stream_id, data):
        if self.exercise == "everything" and stream_id == self.greeting:
            tell(event="answer", text=data.decode())
        elif stream_id & 2:
            self.open_stream(data, unidirectional=True)
        elif self.exercise in ("everything", "drain"):
            self._quic.send_stream_data(stream_id, data, end_stream=True)

    def on_data(self, stream_id, data):
        if self.exercise == "reset":
            self._quic.send_stream_data(stream_id, data)
            self.code = 2**32 - 1 - data[0]
        elif self.exercise == "stop" and stream_id in self.received:
            self._quic.stop_stream(stream_id, http_code(2**32 - 1 - data[0]))
        elif self.exercise == "stop":
            self._quic.send_stream_data(stream_id, data)

    def on_reset(self, stream_id, wire_code):
        # The answer to our STOP_SENDING is a reset too.
        if self.exercise == "reset":
            self._quic.reset_stream(stream_id, http_code(self.code))
            self.heard(wire_code)

    def on_stop(self, stream_id, wire_code):
        if self.exercise == "stop":
            self.heard(wire_code)

    def heard(self, wire_code):
        tell(event="heard", code=session_code(wire_code))
        self.given_up += 1
        if self.given_up == 3:
            self.close_session(0, "")

    def on_datagram(self, data):
        self.http.send_datagram(self.session, data)

    def on_close(self, code, reason):
        self.end_session()
        tell(event="closed", code=code, reason=reason)


async def main(cert, key, draft="draft-02"):
    ExerciseProtocol.draft = draft
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65536)
    configuration.load_cert_chain(cert, key)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=ExerciseProtocol)
    tell(event="listening", port=server._transport.get_extra_info("sockname")[1])
    async for _ in told():
        pass
    server.close()


asyncio.run(main(*sys.argv[1:]))
