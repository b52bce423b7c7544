//! Every limit that quinn leaves to its user. quinn's defaults are not limits: they let a peer hold hundreds of megabytes.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

pub(crate) use super::http3::Role;
use super::http3::flow_control::Limits;

/// Streams of each kind that a peer may have open with us; the specification wants 100 at least. QUIC's tables have an entry for
/// each from the beginning, and up to 112 they are half as large as above.
pub(crate) const CONCURRENT_STREAMS: u32 = 104;
/// How many of them a script may ask for. Each costs a few hundred bytes; the data on them is bounded by the connection.
const MAX_ANTICIPATED_STREAMS: u32 = 4096;

/// The limits of a connection that a server's options may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Streams of each kind that a peer may have open with us; the specification wants 100 at least.
    pub(crate) streams: u32,
    /// What a peer may send on one stream before the application has read it.
    pub(crate) unread_stream_bytes: u32,
    /// What a peer may send on a whole connection before the application has read it: the memory it can make us hold.
    pub(crate) unread_bytes: u32,
    /// What we hold of a whole connection until the peer has acknowledged it.
    pub(crate) queued_bytes: u32,
    /// A peer that is silent for so long is gone.
    pub(crate) idle_timeout: Duration,
    /// How often we make a silent peer show that it is there.
    pub(crate) keep_alive_interval: Option<Duration>,
}

impl ConnectionLimits {
    /// Those of a client, and the defaults of a server. A client keeps its idle session alive, as browsers do.
    fn standard(role: Role, idle_timeout_ms: u32) -> Self {
        let idle_timeout = Duration::from_millis(idle_timeout_ms.into());
        Self {
            streams: CONCURRENT_STREAMS,
            unread_stream_bytes: 1_250_000,
            unread_bytes: 16 * 1024 * 1024,
            queued_bytes: QUEUED_BYTES,
            idle_timeout,
            keep_alive_interval: match role {
                Role::Client => Some(KEEP_ALIVE.min(idle_timeout / 3)),
                Role::Server => None,
            },
        }
    }

    /// How sessions share a connection with these limits. All together may hold what the connection may hold, so that none
    /// takes another's part, and each has room for one stream that nobody reads and half of another: so there may be
    /// fewer of them than `sessions`.
    pub(crate) fn shares(&self, sessions: usize) -> Shares {
        let room = self.unread_bytes / (self.unread_stream_bytes.saturating_add(self.unread_stream_bytes / 2)).max(1);
        let sessions = sessions.min(room as usize).max(1);
        let streams = self.streams.into();
        let each = Limits {
            data: u64::from(self.unread_bytes) / sessions as u64,
            bidirectional: streams,
            unidirectional: streams,
        };
        Shares {
            sessions,
            each: (sessions > 1).then_some(each),
        }
    }

    /// As QUIC takes them. Congestion control is Cubic, which is for throughput: on a path of 20 Mbit/s and 40 ms it carried 18.1
    /// Mbit/s with a short queue and 15.1 with a long one, NewReno 16.5 and 12.9. quinn's BBR is none for low latency: with the short
    /// queue it lost 41 % of its packets and made the round trip 87 ms, Cubic 72.
    pub(crate) fn transport(&self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        let mut mtu_discovery = MtuDiscoveryConfig::default();
        mtu_discovery.black_hole_cooldown(BLACK_HOLE_COOLDOWN);
        let idle = self.idle_timeout.as_millis().try_into().unwrap_or(u32::MAX);
        config
            .congestion_controller_factory(Arc::new(CubicConfig::default()))
            .max_concurrent_bidi_streams(VarInt::from_u32(self.streams))
            .max_concurrent_uni_streams(VarInt::from_u32(self.streams))
            .stream_receive_window(VarInt::from_u32(self.unread_stream_bytes))
            .receive_window(VarInt::from_u32(self.unread_bytes))
            .send_window(self.queued_bytes.into())
            .mtu_discovery_config(Some(mtu_discovery))
            .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
            .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
            .keep_alive_interval(self.keep_alive_interval);
        Arc::new(config)
    }
}

/// How many sessions a connection may have, and what each of them gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// Sessions at once, where the peer keeps to limits for each; else there is one.
    pub(crate) sessions: usize,
    /// The limits of each; `None` when there is nobody to share with.
    pub(crate) each: Option<Limits>,
}

impl Shares {
    /// A connection for one session.
    pub(crate) const ALONE: Self = Self {
        sessions: 1,
        each: None,
    };

    /// That of a client whose sessions share connections.
    pub(crate) fn client() -> Self {
        ConnectionLimits::standard(Role::Client, 0).shares(SESSIONS_PER_CONNECTION)
    }
}

/// The limits of a server, all of them set by its options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerLimits {
    /// Connections at once; more are refused.
    pub(crate) connections: usize,
    /// Sessions at once on one connection.
    pub(crate) sessions_per_connection: usize,
    /// Connections in the handshake.
    pub(crate) pending_handshakes: usize,
    /// From so many on a client must first show that its address is its own (Retry), which costs it a round trip.
    pub(crate) unproven_handshakes: usize,
    /// Requests that may wait for the application's answer.
    pub(crate) pending_requests: usize,
    /// How long a connection's handshake may take, and how long a request may take to come.
    pub(crate) handshake_timeout: Duration,
    /// How long the application has for its answer to a request.
    pub(crate) request_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub(crate) response_timeout: Duration,
    /// Of each connection.
    pub(crate) connection: ConnectionLimits,
}

/// What we hold of a whole connection until the peer has acknowledged it, unless an option says otherwise.
pub(crate) const QUEUED_BYTES: u32 = 8 * 1024 * 1024;
/// quinn's own datagram queue towards the network. Ours stands before it and knows ages, so this one is short.
const DATAGRAM_SEND_BUFFER: usize = 64 * 1024;
/// quinn's own datagram queue from the network; a smaller one loses datagrams of a burst before we see them.
const DATAGRAM_RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// How long after a black hole the path is probed again. quinn takes four gaps in one acknowledgement for one when the packets are
/// smaller than the path's largest, as those of datagrams are, and then sends no datagram that needs more than 1200 bytes; it
/// would wait a minute.
const BLACK_HOLE_COOLDOWN: Duration = Duration::from_secs(1);
/// A client shows that it is there so often at least, and thrice in the time for silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// At a client, from the first packet to the answer to CONNECT.
pub(crate) const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a stream may take to say what it is for.
pub(crate) const STREAM_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closed session waits for its peer to take note.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after the peer's end of a session its acknowledgements may come: it delays them by 25 ms at most.
pub(crate) const LAST_ACKNOWLEDGEMENTS: Duration = Duration::from_millis(50);
/// Sessions that a client has on one connection.
pub(crate) const SESSIONS_PER_CONNECTION: usize = 16;
/// Streams that may wait for their session's request.
pub(crate) const EARLY_STREAMS: usize = 16;
/// Streams and requests that a peer may give up in one go before a script has seen them.
pub(crate) const GIVEN_UP_AT_ONCE: f64 = 1024.0;
/// How many more each second: media that is late is given up stream by stream, at the rate of its frames.
pub(crate) const GIVEN_UP_PER_SECOND: f64 = 128.0;
/// Connections of one server that quinn holds until we look at them, which is at once.
const INCOMING_CONNECTIONS: usize = 1024;
/// Bytes that quinn holds of one connection before it is accepted, and of all such.
const INCOMING_BUFFER: u64 = 64 * 1024;
const INCOMING_BUFFER_TOTAL: u64 = 8 * 1024 * 1024;

/// The streams of a kind that a peer may have open when a script expects so many.
pub(crate) fn anticipated(count: u32) -> u32 {
    count.clamp(CONCURRENT_STREAMS, MAX_ANTICIPATED_STREAMS)
}

/// The transport of a client, and of a server without options.
pub(crate) fn transport(role: Role, idle_timeout_ms: u32) -> Arc<TransportConfig> {
    ConnectionLimits::standard(role, idle_timeout_ms).transport()
}

/// A server's limits on connections that are not accepted yet.
pub(crate) fn limit_incoming(config: &mut quinn::ServerConfig) {
    config
        .max_incoming(INCOMING_CONNECTIONS)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
}
