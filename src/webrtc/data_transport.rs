//! The door of a data channel: one `RTCDataChannel`'s stream, for `web/webrtc/`.

use std::sync::Arc;

use bytes::Bytes;
use napi::bindgen_prelude::{Uint8ArraySlice, Uint32ArraySlice};
use napi_derive::napi;

use super::command::{Command, Connection};
use super::peer_transport::PeerTransport;
use super::stack::{ChannelParameters, MessageKind, Origin, Reliability};
use crate::hub::Hub;

/// What a [`DataTransport`] tells JavaScript.
#[napi]
pub enum DataTransportEvent {
    /// The channel can send.
    Open,
    /// A string message.
    Text,
    /// A binary message.
    Binary,
    /// a: payload bytes that left the send buffer since the last time.
    Sent,
    /// The peer has begun to close the channel.
    Closing,
    /// Terminal. a: [`DataChannelClose`]; text for people.
    Closed,
}

impl From<DataTransportEvent> for i32 {
    fn from(event: DataTransportEvent) -> Self {
        event as Self
    }
}

/// How a channel ended.
#[napi]
pub enum DataChannelClose {
    /// One end closed it.
    Finished,
    /// The association ended.
    TransportClosed,
    /// A rule was broken: an id in use, a message too long.
    Failed,
}

/// How a channel came to be.
#[napi]
pub enum DataChannelOrigin {
    /// We announce it to the peer.
    Announced,
    /// Both ends make it with the same id.
    Negotiated,
    /// The peer announced it.
    Incoming,
}

/// What a channel is made with.
#[napi(object)]
pub struct DataTransportOptions {
    /// The stream, 0 to 65534.
    pub stream_id: u16,
    /// How the channel came to be.
    pub origin: DataChannelOrigin,
    /// `RTCDataChannel.label`
    pub label: String,
    /// `RTCDataChannel.protocol`
    pub protocol: String,
    /// `RTCDataChannel.ordered`
    pub ordered: bool,
    /// `RTCDataChannel.maxRetransmits`
    pub max_retransmits: Option<u32>,
    /// `RTCDataChannel.maxPacketLifeTime` in milliseconds.
    pub max_packet_life_time: Option<u32>,
}

/// The network half of an `RTCDataChannel`.
#[napi]
pub struct DataTransport {
    connection: Arc<Connection>,
    id: u16,
}

#[napi]
impl DataTransport {
    /// Makes a channel of a connection. `Open` follows, when the association is connected.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, peer: &PeerTransport, options: DataTransportOptions) -> Self {
        let connection = peer.connection().clone();
        let origin = match options.origin {
            DataChannelOrigin::Announced => Origin::Announced,
            DataChannelOrigin::Negotiated => Origin::Negotiated,
            DataChannelOrigin::Incoming => Origin::Incoming,
        };
        let reliability = match (options.max_retransmits, options.max_packet_life_time) {
            (Some(count), _) => Reliability::Retransmits(count),
            (None, Some(milliseconds)) => Reliability::LifetimeMs(milliseconds),
            (None, None) => Reliability::Reliable,
        };
        let parameters = ChannelParameters {
            label: options.label,
            protocol: options.protocol,
            unordered: !options.ordered,
            reliability,
        };
        connection.command(Command::Open {
            id: options.stream_id,
            origin,
            parameters,
            port: hub.port(id),
        });
        Self {
            connection,
            id: options.stream_id,
        }
    }

    /// Queues a string message.
    #[napi(catch_unwind)]
    pub fn send_text(&self, text: String) {
        self.send(MessageKind::Text, text.into());
    }

    /// Queues a binary message; the bytes are copied.
    #[napi(catch_unwind)]
    pub fn send_binary(&self, data: Uint8ArraySlice<'_>) {
        self.send(MessageKind::Binary, Bytes::copy_from_slice(&data));
    }

    /// Queues many messages: their bytes one after the other, and for each its length, with the highest bit set for text.
    #[napi(catch_unwind)]
    pub fn send_batch(&self, data: Uint8ArraySlice<'_>, frames: Uint32ArraySlice<'_>) {
        self.connection.command(Command::SendBatch {
            id: self.id,
            frames: frames.to_vec(),
            data: Bytes::copy_from_slice(&data),
        });
    }

    fn send(&self, kind: MessageKind, data: Bytes) {
        self.connection.command(Command::Send {
            id: self.id,
            kind,
            data,
        });
    }

    /// Closes the channel after what is queued. `Closed` follows.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.connection.command(Command::CloseChannel(self.id));
    }
}

impl Drop for DataTransport {
    fn drop(&mut self) {
        self.connection.command(Command::CloseChannel(self.id));
    }
}
