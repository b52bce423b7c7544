//! The door of a connection: ICE, DTLS and SCTP of one `RTCPeerConnection`, for `web/webrtc/`.

use std::sync::Arc;

use napi_derive::napi;

use super::command::{Command, Connection, Policy};
use super::driver;
use super::stack::{Credentials, DtlsRole, Fingerprint, IceRole, Identity, Reliability, Stack, parse_candidate};
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Port};

/// The longest message that the association can carry.
const MAX_MESSAGE_SIZE: u32 = 262_144;

/// What a [`PeerTransport`] tells JavaScript.
#[napi]
pub enum PeerTransportEvent {
    /// a: [`IceGatheringState`]; b: how many restarts there were.
    GatheringState,
    /// Text: the candidate attribute's value; b: how many restarts there were.
    LocalCandidate,
    /// a: [`IceTransportState`].
    IceState,
    /// Text: the local and the remote candidate, one a line.
    SelectedPair,
    /// a: [`DtlsTransportState`]; b: [`TransportFailure`]. Connected brings the peer's certificate in DER, failed a text for people.
    DtlsState,
    /// a: [`SctpTransportState`]; b: `maxChannels` once connected.
    SctpState,
    /// a: the stream on which the peer opened a channel.
    DataChannel,
    /// Terminal. a: [`TransportFailure`].
    Closed,
}

impl From<PeerTransportEvent> for i32 {
    fn from(event: PeerTransportEvent) -> Self {
        event as Self
    }
}

/// `RTCIceGathererState`.
#[napi]
pub enum IceGatheringState {
    /// Not begun.
    New,
    /// Candidates are on their way.
    Gathering,
    /// There will be no more.
    Complete,
}

/// `RTCIceTransportState`.
#[napi]
pub enum IceTransportState {
    /// Waiting for both descriptions.
    New,
    /// Looking for a pair that works.
    Checking,
    /// Using one.
    Connected,
    /// Using one, and done with the others.
    Completed,
    /// The peer has been silent for some seconds.
    Disconnected,
    /// No pair works.
    Failed,
    /// Shut down.
    Closed,
}

/// `RTCDtlsTransportState`.
#[napi]
pub enum DtlsTransportState {
    /// Not begun.
    New,
    /// Negotiating.
    Connecting,
    /// The peer is authenticated.
    Connected,
    /// Ended by close_notify.
    Closed,
    /// Ended by an error.
    Failed,
}

/// `RTCSctpTransportState`.
#[napi]
pub enum SctpTransportState {
    /// Not established yet.
    Connecting,
    /// Channels can open.
    Connected,
    /// Ended.
    Closed,
}

/// Why a transport failed.
#[napi]
pub enum TransportFailure {
    /// It did not.
    None,
    /// The peer's certificate is not the one of its description.
    Fingerprint,
    /// The handshake failed.
    Dtls,
    /// A defect of ours.
    Internal,
}

/// Which end nominates.
#[napi(js_name = "IceRole")]
pub enum IceTransportRole {
    /// We do.
    Controlling,
    /// The peer does.
    Controlled,
}

/// Which end sends the ClientHello.
#[napi(js_name = "DtlsRole")]
pub enum DtlsTransportRole {
    /// We do (`a=setup:active`).
    Client,
    /// The peer does (`a=setup:passive`).
    Server,
}

/// How we authenticate, and our limits.
#[napi(object)]
pub struct PeerTransportOptions {
    /// PEM.
    pub certificate: String,
    /// PKCS#8 in PEM.
    pub private_key: String,
    /// The longest message in bytes that we take and send; 262,144 at most.
    pub max_message_size: Option<u32>,
    /// `iceTransportPolicy` is "relay": no candidate of this machine is gathered or used.
    pub relay_only: Option<bool>,
}

/// A username fragment and a password.
#[napi(object)]
pub struct IceCredentials {
    /// `a=ice-ufrag`
    pub username_fragment: String,
    /// `a=ice-pwd`
    pub password: String,
}

/// Makes ICE credentials that cannot be guessed: 48 and 144 random bits.
#[napi(catch_unwind)]
pub fn generate_ice_credentials() -> Result<IceCredentials> {
    let random = |length| {
        random_text(length).ok_or_else(|| Error::new(ErrorName::OperationError, "the system gives no random numbers"))
    };
    Ok(IceCredentials {
        username_fragment: random(8)?,
        password: random(24)?,
    })
}

/// Text of the 64 characters that ICE allows (<https://www.rfc-editor.org/rfc/rfc8839#section-5.4>): six bits each.
fn random_text(length: usize) -> Option<String> {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; length];
    rtc::crypto::default_provider().ok()?.random().fill(&mut bytes).ok()?;
    Some(
        bytes
            .iter()
            .map(|byte| char::from(CHARACTERS[usize::from(byte % 64)]))
            .collect(),
    )
}

/// `RTCDtlsFingerprint`.
#[napi(object)]
pub struct DtlsFingerprint {
    /// The hash function, as in SDP.
    pub algorithm: String,
    /// Hexadecimal pairs with colons.
    pub value: String,
}

/// What `a=sctp-port` of both ends say.
#[napi(object)]
pub struct SctpOptions {
    /// Ours.
    pub local_port: u16,
    /// The peer's.
    pub remote_port: u16,
}

/// What DATA_CHANNEL_OPEN asked for.
#[napi(object)]
pub struct IncomingChannel {
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

/// The network half of an `RTCPeerConnection`.
#[napi]
pub struct PeerTransport {
    connection: Arc<Connection>,
    max_message_size: u32,
    _port: Arc<Port>,
}

#[napi]
impl PeerTransport {
    /// Makes a transport that does nothing yet. Throws InvalidAccessError when the certificate or key can't be used.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: PeerTransportOptions) -> Result<Self> {
        let identity = Identity::from_pem(&options.certificate, &options.private_key).map_err(|_| {
            Error::new(
                ErrorName::InvalidAccessError,
                "the certificate or its key can't be used",
            )
        })?;
        let connection = Arc::new(Connection::default());
        let port = hub.port(id);
        let policy = if options.relay_only == Some(true) {
            Policy::Relay
        } else {
            Policy::All
        };
        driver::start(&connection, Stack::new(identity), policy, &port);
        let max_message_size = options
            .max_message_size
            .unwrap_or(MAX_MESSAGE_SIZE)
            .min(MAX_MESSAGE_SIZE);
        Ok(Self {
            connection,
            max_message_size,
            _port: port,
        })
    }

    /// Gathers candidates under these credentials; other ones later begin an ICE restart.
    #[napi(catch_unwind)]
    pub fn gather(&self, username_fragment: String, password: String) {
        self.connection.command(Command::Gather(Credentials {
            username_fragment,
            password,
        }));
    }

    /// Begins the connectivity checks, with our role; other credentials later begin an ICE restart.
    #[napi(catch_unwind)]
    pub fn set_remote_parameters(&self, username_fragment: String, password: String, role: IceTransportRole) {
        let role = match role {
            IceTransportRole::Controlling => IceRole::Controlling,
            IceTransportRole::Controlled => IceRole::Controlled,
        };
        let credentials = Credentials {
            username_fragment,
            password,
        };
        self.connection.command(Command::SetRemote(credentials, role));
    }

    /// Adds one of the peer's candidates (`candidate:…`). Throws OperationError when it can't be read.
    #[napi(catch_unwind)]
    pub fn add_remote_candidate(&self, candidate: String) -> Result<()> {
        let parsed = parse_candidate(&candidate)
            .map_err(|_| Error::new(ErrorName::OperationError, "the candidate can't be read"))?;
        if let Some(candidate) = parsed {
            self.connection.command(Command::AddCandidate(candidate));
        }
        Ok(())
    }

    /// The peer has no more candidates: the checks need not go on for long.
    #[napi(catch_unwind)]
    pub fn end_of_remote_candidates(&self) {
        self.connection.command(Command::EndOfCandidates);
    }

    /// Begins DTLS as soon as ICE has a pair. All fingerprints of the peer's description are needed.
    #[napi(catch_unwind)]
    pub fn start_dtls(&self, role: DtlsTransportRole, fingerprints: Vec<DtlsFingerprint>) {
        let role = match role {
            DtlsTransportRole::Client => DtlsRole::Client,
            DtlsTransportRole::Server => DtlsRole::Server,
        };
        let fingerprints = fingerprints
            .into_iter()
            .map(|DtlsFingerprint { algorithm, value }| Fingerprint { algorithm, value })
            .collect();
        self.connection.command(Command::StartDtls(role, fingerprints));
    }

    /// Begins the association as soon as DTLS is connected.
    #[napi(catch_unwind)]
    pub fn start_sctp(&self, options: SctpOptions) {
        self.connection.command(Command::StartSctp {
            local_port: options.local_port,
            remote_port: options.remote_port,
            max_message_size: self.max_message_size,
        });
    }

    /// What the peer asked for on a stream, until a `DataTransport` takes the channel.
    #[napi(catch_unwind)]
    pub fn incoming_channel(&self, stream_id: u16) -> Option<IncomingChannel> {
        let parameters = self.connection.incoming(stream_id)?;
        let (max_retransmits, max_packet_life_time) = match parameters.reliability {
            Reliability::Reliable => (None, None),
            Reliability::Retransmits(count) => (Some(count), None),
            Reliability::LifetimeMs(milliseconds) => (None, Some(milliseconds)),
        };
        Some(IncomingChannel {
            label: parameters.label,
            protocol: parameters.protocol,
            ordered: !parameters.unordered,
            max_retransmits,
            max_packet_life_time,
        })
    }

    /// Tells the peer, ends all channels and frees the sockets. `Closed` follows.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.connection.command(Command::Close);
    }
}

impl PeerTransport {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for PeerTransport {
    fn drop(&mut self) {
        self.connection.command(Command::Close);
    }
}
