//! RTCPeerConnection: signalling as pure functions ([`jsep`]) beside the transports.

pub(crate) mod jsep;
