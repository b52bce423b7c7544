//! webwire's native core: the network half of WebSocket, WebTransport and RTCPeerConnection.
//!
//! A folder is one Web API; a file at this level serves all three. Start with [`hub`]: the one door to JavaScript.

mod buffer;
pub mod certificate;
#[cfg(test)]
mod corpus;
#[cfg(unix)]
mod descriptor;
mod environment;
pub mod error;
mod http_token;
pub mod hub;
mod runtime;
pub mod server_tls;
pub mod tls;
pub mod webrtc;
pub mod websocket;
pub mod webtransport;
