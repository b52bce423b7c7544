//! WebSocket: the network half of `WebSocket` and `WebSocketServer` (RFC 6455).
//!
//! `connection` and `listener` are the doors. Behind them `dial` and `accept` make connections, and one `task` owns each
//! open one. `handshake`, `head`, `extensions`, `frame`, `message`, `deflate` and `closing` are pure: bytes and values in, bytes
//! and values out.

pub(crate) mod accept;
mod block;
pub(crate) mod broadcast;
pub(crate) mod cause;
pub(crate) mod chunk;
pub(crate) mod closing;
pub(crate) mod compression;
pub(crate) mod connection;
pub(crate) mod deflate;
pub(crate) mod destination;
mod dial;
pub(crate) mod duplex_stream;
pub(crate) mod extensions;
pub(crate) mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub(crate) mod handshake;
mod head;
pub(crate) mod listener;
pub(crate) mod listening;
mod memory;
pub(crate) mod message;
pub(crate) mod outgoing;
pub(crate) mod proxy;
mod shared;
pub(crate) mod task;
pub(crate) mod tcp;
pub(crate) mod transport;
pub(crate) mod turn;
