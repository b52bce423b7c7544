//! What a client's options ask of QUIC: <https://www.w3.org/TR/webtransport/#dictdef-webtransportoptions>.

use quinn::{TransportConfig, VarInt};

use super::limits::anticipated;

/// The options that shape the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// Streams that the script expects the peer to open at once; 0 when it has no idea.
    pub(crate) anticipated_bidirectional: u32,
    /// The same of the other kind.
    pub(crate) anticipated_unidirectional: u32,
}

impl Preferences {
    /// Sets them in the configuration of a connection to be made.
    pub(crate) fn apply(&self, transport: &mut TransportConfig) {
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(anticipated(self.anticipated_bidirectional)))
            .max_concurrent_uni_streams(VarInt::from_u32(anticipated(self.anticipated_unidirectional)));
    }
}
