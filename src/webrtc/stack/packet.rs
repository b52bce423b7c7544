//! Looks into SCTP packets before the association sees them: <https://www.rfc-editor.org/rfc/rfc9260#section-3>.

use bytes::{Bytes, BytesMut};

const HEADER: usize = 12;
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const ABORT: u8 = 6;
const END: u8 = 1;
const BEGIN: u8 = 2;
const UNORDERED: u8 = 4;
const IMMEDIATE: u8 = 8;
const DATA_HEADER: usize = 16;
/// The payload protocol identifier "WebRTC DCEP".
const DCEP: u32 = 50;

/// A chunk that the association's caller wants to know of beforehand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The peer wants an association.
    Init,
    /// The association ends; what is unread is lost with it.
    Abort,
    /// User data.
    Data {
        stream: u16,
        tsn: u32,
        /// Whether it begins what is sent on a stream: the sequence number is zero, or it is DCEP.
        first: bool,
        unordered: bool,
        /// Offset of the chunk in the packet.
        at: usize,
        payload: usize,
        begins: bool,
        ends: bool,
    },
}

/// The chunks of a packet, up to the first malformed one.
pub(super) fn chunks(packet: &[u8]) -> impl Iterator<Item = Chunk> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        loop {
            let [kind, flags, l0, l1, rest @ ..] = packet.get(at..)? else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            if length < 4 || rest.len() + 4 < length {
                return None;
            }
            let start = at;
            at += length.next_multiple_of(4);
            match *kind {
                INIT => return Some(Chunk::Init),
                ABORT => return Some(Chunk::Abort),
                DATA if length >= DATA_HEADER => {
                    let [t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3, ..] = rest else {
                        return None;
                    };
                    return Some(Chunk::Data {
                        stream: u16::from_be_bytes([*s0, *s1]),
                        tsn: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
                        first: [*n0, *n1] == [0, 0] || u32::from_be_bytes([*p0, *p1, *p2, *p3]) == DCEP,
                        unordered: flags & UNORDERED != 0,
                        at: start,
                        payload: length - DATA_HEADER,
                        begins: flags & BEGIN != 0,
                        ends: flags & END != 0,
                    });
                }
                _ => {}
            }
        }
    })
}

/// Moves some user data to another stream, each chunk as a whole unordered message.
pub(super) fn divert(packet: &Bytes, sink: u16, mut diverted: impl FnMut(&Chunk) -> bool) -> Bytes {
    let mut copy = BytesMut::from(&packet[..]);
    for chunk in chunks(packet) {
        if diverted(&chunk)
            && let Chunk::Data { at, .. } = chunk
        {
            copy[at + 1] |= UNORDERED | BEGIN | END;
            copy[at + 8..at + 10].copy_from_slice(&sink.to_be_bytes());
        }
    }
    seal(copy)
}

/// The packet with a wish for its user data to be acknowledged at once (RFC 7053).
pub(super) fn urgent(packet: Bytes) -> Bytes {
    let at = chunks(&packet).find_map(|chunk| match chunk {
        Chunk::Data { at, .. } => Some(at),
        Chunk::Init | Chunk::Abort => None,
    });
    let Some(at) = at else { return packet };
    let mut copy = BytesMut::from(&packet[..]);
    copy[at + 1] |= IMMEDIATE;
    seal(copy)
}

/// The packet with other source and destination ports; the association itself only knows 5000.
pub(super) fn with_ports(packet: &[u8], (source, destination): (u16, u16)) -> Bytes {
    let mut copy = BytesMut::from(packet);
    copy[..2].copy_from_slice(&source.to_be_bytes());
    copy[2..4].copy_from_slice(&destination.to_be_bytes());
    seal(copy)
}

/// The packet with a smaller receive window, if the peer says a larger one.
pub(super) fn with_window(packet: Bytes, window: u32) -> Bytes {
    let mut at = HEADER;
    let mut copy: Option<BytesMut> = None;
    while let Some([kind, _, l0, l1, ..]) = packet.get(at..) {
        // All three have it in the same place.
        let said = packet
            .get(at + 8..at + 12)
            .filter(|_| matches!(*kind, INIT | INIT_ACK | SACK));
        if said.is_some_and(|said| said > &window.to_be_bytes()[..]) {
            let copy = copy.get_or_insert_with(|| BytesMut::from(&packet[..]));
            copy[at + 8..at + 12].copy_from_slice(&window.to_be_bytes());
        }
        at += usize::from(u16::from_be_bytes([*l0, *l1])).next_multiple_of(4).max(4);
    }
    copy.map_or(packet, seal)
}

/// The receive window that a packet with INIT or INIT ACK says.
pub(super) fn first_window(packet: &[u8]) -> Option<u32> {
    match packet.get(HEADER..HEADER + 12)? {
        [INIT | INIT_ACK, _, _, _, _, _, _, _, w0, w1, w2, w3] => Some(u32::from_be_bytes([*w0, *w1, *w2, *w3])),
        _ => None,
    }
}

/// Repeats a packet's first user data such that it asks for an acknowledgement at once.
pub(super) fn acknowledgement_request(packet: &Bytes) -> Option<Bytes> {
    chunks(packet).find_map(|chunk| match chunk {
        Chunk::Data { at, payload, .. } => {
            let end = (at + DATA_HEADER + payload).next_multiple_of(4).min(packet.len());
            let mut copy = BytesMut::from(&packet[..HEADER]);
            copy.extend_from_slice(&packet[at..end]);
            copy[HEADER + 1] |= IMMEDIATE;
            Some(seal(copy))
        }
        Chunk::Init | Chunk::Abort => None,
    })
}

fn seal(mut packet: BytesMut) -> Bytes {
    packet[8..HEADER].fill(0);
    let checksum = crc32c::crc32c(&packet);
    packet[8..HEADER].copy_from_slice(&checksum.to_le_bytes());
    packet.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(stream: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut chunk = vec![DATA, flags, 0, (DATA_HEADER + payload.len()) as u8, 0, 0, 0, 9];
        chunk.extend(stream.to_be_bytes());
        chunk.extend([0, 7, 0, 0, 0, 53]);
        chunk.extend(payload);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    #[test]
    fn data_of_one_stream_moves_and_the_rest_stays() {
        let mut packet = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0];
        packet.extend(data(5, BEGIN, b"abc"));
        packet.extend(data(6, END, b"defgh"));
        let packet = Bytes::from(packet);
        let moved = divert(&packet, 65535, |chunk| matches!(chunk, Chunk::Data { stream: 5, .. }));
        let seen: Vec<_> = chunks(&moved)
            .map(|chunk| match chunk {
                Chunk::Data {
                    stream,
                    tsn,
                    at,
                    payload,
                    begins,
                    ends,
                    unordered,
                    ..
                } => (stream, tsn, at, payload, begins, ends, unordered),
                Chunk::Init | Chunk::Abort => unreachable!("there is only data"),
            })
            .collect();
        assert_eq!(
            seen,
            [(65535, 9, 12, 3, true, true, true), (6, 9, 32, 5, false, true, false)]
        );
        assert_eq!(moved.len(), packet.len());
    }

    #[test]
    fn a_window_is_made_smaller_and_never_larger() {
        let mut packet = vec![0; HEADER];
        packet.extend([SACK, 0, 0, 16, 0, 0, 0, 1, 0, 0x20, 0, 0, 0, 0, 0, 0]);
        packet.extend(data(5, BEGIN | END, b"abc"));
        let packet = Bytes::from(packet);
        assert_eq!(with_window(packet.clone(), 0x20_0000), packet);
        let smaller = with_window(packet.clone(), 0x01_0000);
        assert_eq!(smaller[HEADER + 8..HEADER + 12], [0, 1, 0, 0]);
        assert_eq!(smaller[HEADER + 12..], packet[HEADER + 12..]);
        assert_eq!(first_window(&packet), None);
        let mut init = vec![0; HEADER];
        init.extend([INIT, 0, 0, 20, 0, 0, 0, 1, 0, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(first_window(&init), Some(0x50_0000));
    }

    #[test]
    fn malformed_packets_end_the_walk() {
        let mut packet = vec![0; HEADER];
        packet.extend(data(5, BEGIN | END, b"abcd"));
        for length in 0..packet.len() {
            assert_eq!(chunks(&packet[..length]).count(), 0, "{length} bytes");
        }
        for length in 0..16 {
            packet[HEADER + 3] = length;
            assert_eq!(chunks(&packet).count(), 0, "chunk length {length}");
        }
    }
}
