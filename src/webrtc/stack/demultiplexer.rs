//! Tells apart what shares one UDP 5-tuple by its first byte: <https://www.rfc-editor.org/rfc/rfc7983#section-7>.

/// The protocol that a datagram belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A STUN message: an ICE connectivity check or its answer.
    Stun,
    /// A DTLS record: handshake, alert or application data (SCTP).
    Dtls,
    /// SRTP. Media attaches here.
    Rtp,
    /// SRTCP (<https://www.rfc-editor.org/rfc/rfc5761#section-4>). Media attaches here.
    Rtcp,
    /// ZRTP, TURN ChannelData, QUIC or noise: dropped.
    Other,
}

/// Classifies a datagram by its first bytes; an empty one is `Other`.
pub(crate) fn classify(datagram: &[u8]) -> Protocol {
    match datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        // Payload types 64 to 95 with the marker bit are RTCP packet types 192 to 223.
        [128..=191, 192..=223, ..] => Protocol::Rtcp,
        [128..=191, _, ..] => Protocol::Rtp,
        _ => Protocol::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_rfc_7983() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Protocol::Stun,
                20..=63 => Protocol::Dtls,
                128..=191 => Protocol::Rtp,
                _ => Protocol::Other,
            };
            assert_eq!(classify(&[first, 0, 0, 0]), expected, "first byte {first}");
        }
        assert_eq!(classify(&[128, 200]), Protocol::Rtcp);
        assert_eq!(classify(&[128, 96]), Protocol::Rtp);
        assert_eq!(classify(&[]), Protocol::Other);
    }
}
