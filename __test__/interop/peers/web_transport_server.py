# A WebTransport server on aioquic that keeps the contract of serveWebTransport() in ../exercises.mjs.
# usage: web_transport_server.py CERT KEY

import asyncio
import sys

from aioquic.asyncio import serve
from aioquic.quic.configuration import QuicConfiguration

from lines import tell, told
from web_transport import WebTransportProtocol


class EchoProtocol(WebTransportProtocol):
    def on_headers(self, stream_id, headers):
        if headers.get(b":protocol") != b"webtransport":
            self.http.send_headers(stream_id, [(b":status", b"404")], end_stream=True)
            return
        self.session = stream_id
        self.http.send_headers(stream_id, [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")])
        tell(event="session", path=headers[b":path"].decode())
        self.greeting = self.open_stream(b"hello from the server")

    def on_stream(self, stream_id, data):
        if stream_id == self.greeting:
            tell(event="answer", text=data.decode())
        elif stream_id & 2:
            self.open_stream(data, unidirectional=True)
        else:
            self._quic.send_stream_data(stream_id, data, end_stream=True)

    def on_datagram(self, data):
        self.http.send_datagram(self.session, data)

    def on_close(self, code, reason):
        tell(event="closed", code=code, reason=reason)


async def main(cert, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65536)
    configuration.load_cert_chain(cert, key)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=EchoProtocol)
    tell(event="listening", port=server._transport.get_extra_info("sockname")[1])
    async for _ in told():
        pass
    server.close()


asyncio.run(main(*sys.argv[1:]))
