//! RTCPeerConnection: signalling as pure functions ([`jsep`], through the door [`signalling`]) beside the transports.

pub(crate) mod jsep;
pub mod signalling;
pub(crate) mod stack;
