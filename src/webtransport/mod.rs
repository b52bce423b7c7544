//! WebTransport over HTTP/3, client and server, on quinn: <https://www.w3.org/TR/webtransport/> and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html>.
//!
//! Doors to JavaScript: [`session`], [`send_stream`], [`receive_stream`], [`listener`], [`request_stream`]. [`client`] opens a connection
//! and asks for a session on it; [`task`] serves a connection, either role, with its [`control`] streams, and gives each
//! stream and datagram to one of its [`sessions`]; [`established`] is a session on the wire and [`connect_stream`] is a
//! session's own stream, on which it opens and ends.

mod cause;
mod certificate_hash;
mod client;
mod connect_stream;
mod control;
mod credit;
mod crowd;
mod datagram_turns;
mod datagrams;
mod dial;
mod direct;
mod driver;
mod endpoint;
mod established;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod given_up;
mod halves;
pub(crate) mod http3;
mod incoming_datagrams;
mod limits;
pub mod listener;
mod listening;
mod outgoing_datagrams;
mod plain_request;
mod pool;
mod preferences;
mod reading;
mod receive_queue;
pub mod receive_stream;
mod refusals;
mod request;
pub mod request_stream;
mod scheduler;
mod send_queue;
pub mod send_stream;
pub mod session;
mod sessions;
#[cfg(unix)]
mod socket;
mod statistics;
mod streams;
mod task;
mod turnstile;
mod underlying;
