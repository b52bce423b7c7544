//! Short messages, the most frequent ones by far: one frame of less than 126 bytes that lies whole in the input.
//!
//! Two bytes say all of its header. Whatever else begins there, a fault among it, is for the parser of headers.

use super::Kind;
use crate::websocket::frame::Role;

/// FIN, no reserved bit, and the opcode ([RFC 6455 section 5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
/// Of the second byte.
const MASKED: u8 = 0x80;
/// Beginning with this, the length stands in further bytes.
const LONGER: u8 = 126;

/// A frame that is a whole message, by its header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) kind: Kind,
    pub(super) mask: Option<[u8; 4]>,
    /// Bytes of the header, and of the payload behind it.
    pub(super) header: usize,
    pub(super) length: usize,
}

/// The short message at the front of `input`, if that is what lies there for the end `role`.
pub(super) fn short_message(input: &[u8], role: Role) -> Option<Short> {
    let [first, second, rest @ ..] = input else {
        return None;
    };
    let kind = match *first {
        TEXT => Kind::Text,
        BINARY => Kind::Binary,
        _ => return None,
    };
    let (mask, header, length) = match role {
        Role::Client => (None, 2, *second),
        // Without a mask it is below 0, with a mask for a client above 125.
        Role::Server => (Some(*rest.first_chunk()?), 6, second.checked_sub(MASKED)?),
    };
    let is_whole = length < LONGER && header + usize::from(length) <= input.len();
    is_whole.then_some(Short {
        kind,
        mask,
        header,
        length: length.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    /// What the parser of headers says of the same bytes.
    fn parsed(input: &[u8], role: Role) -> Option<Short> {
        let mut cursor = Cursor::new(input);
        let (frame, length) = FrameHeader::parse(&mut cursor).ok()??;
        let header = cursor.position() as usize;
        let kind = match frame.opcode {
            OpCode::Data(Data::Text) => Kind::Text,
            OpCode::Data(Data::Binary) => Kind::Binary,
            OpCode::Data(_) | OpCode::Control(_) => return None,
        };
        let is_plain = frame.is_final && !frame.rsv1 && !frame.rsv2 && !frame.rsv3;
        let is_masked_right = frame.mask.is_some() == (role == Role::Server);
        let is_short = header == if frame.mask.is_some() { 6 } else { 2 };
        let length = usize::try_from(length).ok()?;
        let is_whole = length <= input.len() - header;
        (is_plain && is_masked_right && is_short && is_whole).then_some(Short {
            kind,
            mask: frame.mask,
            header,
            length,
        })
    }

    #[test]
    fn what_the_parser_of_headers_says_for_every_front_and_every_length_of_input() {
        let mut short = 0;
        for role in [Role::Client, Role::Server] {
            for front in 0..=u16::MAX {
                let mut input: Vec<u8> = (0..140).map(|byte: u8| byte.wrapping_mul(37)).collect();
                input[..2].copy_from_slice(&front.to_be_bytes());
                let payload = usize::from(input[1] & 0x7f);
                let ends = [0, 1, 2, 3, 5, 6, 7, 140];
                for end in ends.into_iter().chain([1, 2, 3, 5, 6, 7].map(|more| payload + more)) {
                    let input = &input[..end];
                    let found = short_message(input, role);
                    assert_eq!(found, parsed(input, role), "{role:?}, {input:?}");
                    short += usize::from(found.is_some());
                }
            }
        }
        assert!(short > 2 * 2 * 126);
    }
}
