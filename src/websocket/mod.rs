//! WebSocket: the network half of `WebSocket` and `WebSocketServer` (RFC 6455).
//!
//! `handshake`, `frame`, `message` and `closing` are pure: bytes and values in, bytes and values out.

pub(crate) mod closing;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod message;
