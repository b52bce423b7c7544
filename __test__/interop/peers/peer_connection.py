# An RTCPeerConnection on aiortc, both roles: the contract of offerDataChannel() and answerDataChannel() in
# ../exercises.mjs. usage: peer_connection.py offer|answer

import asyncio
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from lines import tell, told

BINARY = bytes(i * 7 & 0xFF for i in range(16_384))
MESSAGES = ["text with ümlauts", BINARY, ""]


def offer_channel(connection, done):
    channel = connection.createDataChannel("chat", ordered=True, protocol="webwire-test")
    waiting = list(MESSAGES)

    @channel.on("open")
    def on_open():
        channel.send(waiting[0])

    @channel.on("message")
    def on_message(message):
        if message != waiting.pop(0):
            done.set_exception(ValueError("a message came back changed"))
        elif waiting:
            channel.send(waiting[0])
        else:
            channel.close()
            done.set_result(None)


def answer_channel(connection):
    @connection.on("datachannel")
    def on_datachannel(channel):
        tell(event="datachannel", label=channel.label, protocol=channel.protocol)

        @channel.on("message")
        def on_message(message):
            channel.send(message)

        @channel.on("close")
        def on_close():
            tell(event="closed")


async def describe(connection, description):
    await connection.setLocalDescription(description)
    local = connection.localDescription
    tell(event="signal", message={"description": {"type": local.type, "sdp": local.sdp}})


async def listen(connection):
    async for message in told():
        if description := message.get("description"):
            await connection.setRemoteDescription(RTCSessionDescription(**description))
            if description["type"] == "offer":
                await describe(connection, await connection.createAnswer())
        elif text := (message.get("candidate") or {}).get("candidate"):
            candidate = candidate_from_sdp(text.removeprefix("candidate:"))
            candidate.sdpMid = message["candidate"]["sdpMid"]
            candidate.sdpMLineIndex = message["candidate"]["sdpMLineIndex"]
            await connection.addIceCandidate(candidate)


async def main(role):
    connection = RTCPeerConnection()
    done = asyncio.get_running_loop().create_future()
    listening = asyncio.ensure_future(listen(connection))
    if role == "offer":
        offer_channel(connection, done)
        await describe(connection, await connection.createOffer())
        await asyncio.wait([listening, done], return_when=asyncio.FIRST_COMPLETED)
        await done
        tell(event="done")
    else:
        answer_channel(connection)
    await listening
    await connection.close()


asyncio.run(main(sys.argv[1]))
