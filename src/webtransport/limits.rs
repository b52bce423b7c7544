//! Every limit that quinn leaves to its user. quinn's defaults are not limits: they let a peer hold hundreds of megabytes.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// Streams of each kind that a peer may have open with us; the specification wants 100 at least.
const CONCURRENT_STREAMS: u32 = 128;
/// What a peer may send on one stream before the application has read it.
const STREAM_WINDOW: u32 = 1_250_000;
/// What a peer may send on a whole connection before the application has read it: the memory it can make us hold.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// What we hold of a whole connection until the peer has acknowledged it.
const SEND_WINDOW: u64 = 8 * 1024 * 1024;
/// quinn's own datagram queue towards the network. Ours stands before it and knows ages, so this one is short.
const DATAGRAM_SEND_BUFFER: usize = 64 * 1024;
/// quinn's own datagram queue from the network; a smaller one loses datagrams of a burst before we see them.
const DATAGRAM_RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// A client keeps its idle session alive, as browsers do: so often at least, and thrice in the time for silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// From the first packet to the answer to CONNECT.
pub(crate) const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a stream may take to say what it is for.
pub(crate) const STREAM_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the application has for its answer to a request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a closed session waits for its peer to take note.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after the peer's end of a session its acknowledgements may come: it delays them by 25 ms at most.
pub(crate) const LAST_ACKNOWLEDGEMENTS: Duration = Duration::from_millis(50);
/// Sessions that a server takes on one connection.
pub(crate) const SESSIONS_PER_CONNECTION: usize = 16;
/// Streams that may wait for their session's request.
pub(crate) const EARLY_STREAMS: usize = 16;
/// Streams and requests that a peer may give up in one go before a script has seen them.
pub(crate) const GIVEN_UP_AT_ONCE: f64 = 1024.0;
/// How many more each second: media that is late is given up stream by stream, at the rate of its frames.
pub(crate) const GIVEN_UP_PER_SECOND: f64 = 128.0;
/// Requests of one server that may wait for the application's answer.
pub(crate) const WAITING_REQUESTS: usize = 1024;
/// Connections of one server in the handshake, 15 s each at most.
pub(crate) const HANDSHAKES: usize = 1024;
/// From so many on a client must first show that its address is its own (Retry), which costs it a round trip.
pub(crate) const HANDSHAKES_UNPROVEN: usize = 128;
/// Connections of one server that quinn holds until we look at them, which is at once.
const INCOMING_CONNECTIONS: usize = 1024;
/// Bytes that quinn holds of one connection before it is accepted, and of all such.
const INCOMING_BUFFER: u64 = 64 * 1024;
const INCOMING_BUFFER_TOTAL: u64 = 8 * 1024 * 1024;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The end that asks for sessions.
    Client,
    /// The end that grants them.
    Server,
}

/// The transport's limits. A peer that is silent for `idle_timeout_ms` is gone.
pub(crate) fn transport(role: Role, idle_timeout_ms: u32) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let idle = IdleTimeout::from(VarInt::from_u32(idle_timeout_ms));
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(CONCURRENT_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(CONCURRENT_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        .max_idle_timeout(Some(idle));
    if role == Role::Client {
        let thrice = Duration::from_millis(idle_timeout_ms.into()) / 3;
        config.keep_alive_interval(Some(KEEP_ALIVE.min(thrice)));
    }
    Arc::new(config)
}

/// A server's limits on connections that are not accepted yet.
pub(crate) fn limit_incoming(config: &mut quinn::ServerConfig) {
    config
        .max_incoming(INCOMING_CONNECTIONS)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
}
