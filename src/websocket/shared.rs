//! A message that many connections of a server get where permessage-deflate is agreed: compressed once for each size of
//! window, by the task that comes to it first, with an empty window, which is always allowed
//! ([RFC 7692 section 7.2.3.2](https://www.rfc-editor.org/rfc/rfc7692#section-7.2.3.2)).

use std::sync::OnceLock;

use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::deflate::{Deflater, WINDOW_SIZES};
use super::frame::{write_compressed, write_frame};
use super::message::Kind;

/// Bytes of such a message at most: while it is compressed, some milliseconds, the others that come to it wait. Longer ones
/// each connection compresses by itself, in turns.
pub(crate) const MAX_SHARED: usize = 256 * 1024;

/// The message. A server masks nothing, so that a frame is the same for all who have the same window.
#[derive(Debug)]
pub(crate) struct Shared {
    kind: Kind,
    data: Vec<u8>,
    /// By the size of the window.
    frames: [OnceLock<Vec<u8>>; WINDOW_SIZES],
}

impl Shared {
    pub(crate) fn new(kind: Kind, data: &[u8]) -> Self {
        Self {
            kind,
            data: data.to_vec(),
            frames: Default::default(),
        }
    }

    /// Bytes of the application's.
    pub(crate) fn length(&self) -> usize {
        self.data.len()
    }

    /// Its frame for a connection that compresses with `deflater`, which is not used for it.
    pub(crate) fn frame(&self, deflater: &Deflater) -> &[u8] {
        self.frames[deflater.window_size()].get_or_init(|| {
            let opcode = OpCode::Data(self.kind.into());
            let mut frame = Vec::new();
            let mut alone = deflater.for_one_message();
            alone.deflate(&mut self.data.as_slice(), usize::MAX);
            if alone.compressed().len() < self.data.len() {
                write_compressed(&mut frame, opcode, None, alone.compressed());
            } else {
                write_frame(&mut frame, opcode, None, &self.data);
            }
            alone.forget();
            frame
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::deflate::ContextTakeover;

    #[test]
    fn who_has_the_same_window_shares_the_frame() {
        let shared = Shared::new(Kind::Text, &[b'a'; 10_000]);
        let deflater = |window_bits| Deflater::new(6, window_bits, ContextTakeover::Allowed);
        let frame = shared.frame(&deflater(15));
        assert!(std::ptr::eq(frame, shared.frame(&deflater(15))));
        assert!(!std::ptr::eq(frame, shared.frame(&deflater(10))));
        assert!(frame[0] == 0xc1 && frame.len() < 100);
    }

    #[test]
    fn what_would_not_shrink_is_sent_as_it_is() {
        let shared = Shared::new(Kind::Binary, b"tiny");
        let deflater = Deflater::new(6, 15, ContextTakeover::RuledOut);
        assert_eq!(shared.frame(&deflater), b"\x82\x04tiny");
    }
}
