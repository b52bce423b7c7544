//! RTCPeerConnection: signalling as pure functions ([`jsep`], through the door [`signalling`]) beside the transports
//! ([`peer_transport`], [`data_transport`]), whose protocols are the pure [`stack`], run by [`driver`].

mod command;
pub mod data_transport;
mod driver;
mod gatherer;
pub(crate) mod jsep;
pub mod peer_transport;
pub mod signalling;
pub(crate) mod stack;
mod udp;
