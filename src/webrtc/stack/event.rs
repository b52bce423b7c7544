//! What goes in and out of the stack.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};

use super::{ChannelParameters, DtlsFailure, IceState, MessageKind};

/// A local and a remote address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    /// Our socket's address.
    pub(crate) local: SocketAddr,
    /// The peer's address.
    pub(crate) remote: SocketAddr,
}

/// A datagram to be sent.
#[derive(Debug)]
pub(crate) struct Transmit {
    /// Where from and where to.
    pub(crate) path: Path,
    /// What.
    pub(crate) datagram: BytesMut,
}

/// How a channel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Both directions were reset.
    Finished,
    /// The association ended.
    Transport,
    /// The peer or the caller broke a rule; the text is for a person only.
    Failed(String),
}

/// What the stack tells its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StackEvent {
    /// The ICE transport's state.
    Ice(IceState),
    /// The selected pair, as `candidate` attributes.
    SelectedPair {
        /// Ours.
        local: String,
        /// The peer's.
        remote: String,
    },
    /// The handshake has begun.
    DtlsConnecting,
    /// The peer is authenticated.
    DtlsConnected {
        /// The peer's certificate in DER.
        certificate: Vec<u8>,
    },
    /// The handshake failed.
    DtlsFailed(DtlsFailure),
    /// The peer said close_notify.
    DtlsClosed,
    /// The association is established.
    SctpConnected {
        /// `RTCSctpTransport.maxChannels`.
        max_channels: u16,
    },
    /// The association has ended.
    SctpClosed,
    /// The peer announced a channel; its messages wait until [`Stack::adopt_channel`].
    IncomingChannel {
        /// The stream.
        id: u16,
        /// What the peer asks for.
        parameters: ChannelParameters,
    },
    /// The channel can send.
    ChannelOpen(u16),
    /// A message arrived.
    Message {
        /// The stream.
        id: u16,
        /// String or bytes.
        kind: MessageKind,
        /// The payload.
        data: Bytes,
    },
    /// Payload bytes left the channel's queue.
    Sent {
        /// The stream.
        id: u16,
        /// How many.
        bytes: usize,
    },
    /// The peer closes the channel.
    ChannelClosing(u16),
    /// The channel has ended; the id is free.
    ChannelClosed {
        /// The stream.
        id: u16,
        /// How.
        closed: Closed,
    },
}
