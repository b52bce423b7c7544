//! The Data Channel Establishment Protocol's messages: <https://www.rfc-editor.org/rfc/rfc8832#section-5>.

use bytes::{BufMut, Bytes, BytesMut};

const DATA_CHANNEL_ACK: u8 = 0x02;
const DATA_CHANNEL_OPEN: u8 = 0x03;
const UNORDERED: u8 = 0x80;
const HEADER: usize = 12;

/// What a channel promises about delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reliability {
    /// Retransmitted until it arrives.
    #[default]
    Reliable,
    /// Retransmitted at most this many times (`maxRetransmits`).
    Retransmits(u32),
    /// Retransmitted for at most this many milliseconds (`maxPacketLifeTime`).
    LifetimeMs(u32),
}

/// What both ends agree on when a channel is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ChannelParameters {
    /// The label; not necessarily unique.
    pub(crate) label: String,
    /// The subprotocol, or empty.
    pub(crate) protocol: String,
    /// Whether messages arrive out of order.
    pub(crate) unordered: bool,
    /// How hard delivery is tried.
    pub(crate) reliability: Reliability,
}

/// A message with the payload protocol identifier "WebRTC DCEP".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// DATA_CHANNEL_OPEN.
    Open(ChannelParameters),
    /// DATA_CHANNEL_ACK.
    Ack,
}

impl Message {
    /// Reads one message; `None` when it is malformed. Bad UTF-8 becomes U+FFFD.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [DATA_CHANNEL_ACK, ..] => Some(Self::Ack),
            [
                DATA_CHANNEL_OPEN,
                channel_type,
                _,
                _,
                r0,
                r1,
                r2,
                r3,
                l0,
                l1,
                p0,
                p1,
                rest @ ..,
            ] => {
                let parameter = u32::from_be_bytes([*r0, *r1, *r2, *r3]);
                let reliability = match channel_type & !UNORDERED {
                    0 => Reliability::Reliable,
                    1 => Reliability::Retransmits(parameter),
                    2 => Reliability::LifetimeMs(parameter),
                    _ => return None,
                };
                let label_length = usize::from(u16::from_be_bytes([*l0, *l1]));
                let protocol_length = usize::from(u16::from_be_bytes([*p0, *p1]));
                let label = rest.get(..label_length)?;
                let protocol = rest.get(label_length..label_length + protocol_length)?;
                Some(Self::Open(ChannelParameters {
                    label: String::from_utf8_lossy(label).into_owned(),
                    protocol: String::from_utf8_lossy(protocol).into_owned(),
                    unordered: channel_type & UNORDERED != 0,
                    reliability,
                }))
            }
            _ => None,
        }
    }

    /// Writes the message. Label and protocol have at most 65,535 bytes: the caller has checked.
    pub(crate) fn encode(&self) -> Bytes {
        let Self::Open(channel) = self else {
            return Bytes::from_static(&[DATA_CHANNEL_ACK]);
        };
        let (kind, parameter) = match channel.reliability {
            Reliability::Reliable => (0, 0),
            Reliability::Retransmits(count) => (1, count),
            Reliability::LifetimeMs(milliseconds) => (2, milliseconds),
        };
        let mut bytes = BytesMut::with_capacity(HEADER + channel.label.len() + channel.protocol.len());
        bytes.put_u8(DATA_CHANNEL_OPEN);
        bytes.put_u8(kind | if channel.unordered { UNORDERED } else { 0 });
        // Priority "below normal" to "normal": 256, as libwebrtc sends by default.
        bytes.put_u16(256);
        bytes.put_u32(parameter);
        bytes.put_u16(channel.label.len() as u16);
        bytes.put_u16(channel.protocol.len() as u16);
        bytes.put_slice(channel.label.as_bytes());
        bytes.put_slice(channel.protocol.as_bytes());
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_survives_a_round_trip() {
        for (unordered, reliability) in [
            (false, Reliability::Reliable),
            (true, Reliability::Retransmits(0)),
            (false, Reliability::Retransmits(65535)),
            (true, Reliability::LifetimeMs(1500)),
        ] {
            let message = Message::Open(ChannelParameters {
                label: "häuser".into(),
                protocol: "p".repeat(65535),
                unordered,
                reliability,
            });
            assert_eq!(Message::parse(&message.encode()), Some(message));
        }
        assert_eq!(Message::parse(&Message::Ack.encode()), Some(Message::Ack));
    }

    #[test]
    fn truncated_or_unknown_messages_are_refused() {
        let whole = Message::Open(ChannelParameters {
            label: "label".into(),
            protocol: "protocol".into(),
            ..ChannelParameters::default()
        })
        .encode();
        for length in 0..whole.len() {
            assert_eq!(Message::parse(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(Message::parse(&[0x01]), None);
        let mut unknown = whole.to_vec();
        unknown[1] = 3;
        assert_eq!(Message::parse(&unknown), None);
    }
}
