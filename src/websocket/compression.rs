//! Messages that wait → frames: [RFC 7692 section 6.1](https://www.rfc-editor.org/rfc/rfc7692#section-6.1).

use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::chunk::{Chunk, Form};
use super::deflate::{Deflater, Progress};
use super::frame::{Role, write_compressed, write_frame};
use super::outgoing::mask;
use super::shared::Shared;

/// Compresses what a connection sends, in turns, so that a long message does not hold up others.
pub(crate) struct Compression {
    role: Role,
    deflater: Deflater,
    /// Where the next message begins.
    position: usize,
    /// How much of its data is compressed.
    used: usize,
    frames: Chunk,
}

impl Compression {
    /// For the end `role`.
    pub(crate) fn new(role: Role, deflater: Deflater) -> Self {
        Self {
            role,
            deflater,
            position: 0,
            used: 0,
            frames: Chunk::default(),
        }
    }

    /// Compresses the messages of a chunk, at most `budget` bytes, which it takes off. Returns the frames if that was
    /// all; otherwise the same chunk is to be given again.
    pub(crate) fn turn(&mut self, messages: &Chunk, budget: &mut usize) -> Option<Chunk> {
        while let Some((kind, data, end)) = messages.message(self.position) {
            if *budget == 0 {
                return None;
            }
            let mut rest = &data[self.used..];
            let progress = self.deflater.deflate(&mut rest, *budget);
            let used = data.len() - rest.len();
            *budget -= used - self.used;
            self.used = used;
            if progress == Progress::Partly {
                return None;
            }
            let (opcode, mask) = (OpCode::Data(kind.into()), mask(self.role));
            let compressed = self.deflater.compressed();
            if compressed.len() < data.len() {
                write_compressed(&mut self.frames.bytes, opcode, mask, compressed);
                self.deflater.keep();
            } else {
                write_frame(&mut self.frames.bytes, opcode, mask, data);
                self.deflater.forget();
            }
            self.position = end;
            self.used = 0;
        }
        self.position = 0;
        let mut frames = std::mem::replace(&mut self.frames, Chunk::with_capacity(Form::Frames, 0));
        frames.application = messages.application;
        Some(frames)
    }
}

impl Compression {
    /// The frame of a message that others get as well. It stands in the peer's window now, and not in ours: what follows
    /// must not refer to what came before.
    pub(crate) fn share(&mut self, shared: &Shared) -> Chunk {
        self.deflater.forget();
        let mut frames = Chunk::with_capacity(Form::Frames, 0);
        frames.bytes = shared.frame(&self.deflater).to_vec().into();
        frames.application = shared.length();
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::deflate::{ContextTakeover, Inflater};
    use crate::websocket::message::{Incoming, Kind, MessageReader};

    #[test]
    fn frames_carry_the_messages_in_order() {
        let json = r#"{"id":1,"name":"webwire"}"#.repeat(200);
        let mut noise = 1_u32;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .take(5_000)
        .collect();
        let mut messages = Chunk::with_capacity(Form::Messages, 0);
        for data in [json.as_bytes(), json.as_bytes(), b"", b"tiny"] {
            messages.add_message(Kind::Text, data);
        }
        messages.add_message(Kind::Binary, &random);
        messages.add_message(Kind::Text, json.as_bytes());
        for budget in [1, 100, 7_000, usize::MAX] {
            let deflater = Deflater::new(6, 15, ContextTakeover::Allowed);
            let mut compression = Compression::new(Role::Client, deflater);
            let frames = loop {
                let mut left = budget;
                if let Some(frames) = compression.turn(&messages, &mut left) {
                    break frames;
                }
                assert_eq!(left, 0);
            };
            assert_eq!(frames.application, 3 * json.len() + 4 + 5_000);
            assert!(frames.bytes.len() < 6_000, "three times the same, and noise as it is");
            let mut reader =
                MessageReader::new(Role::Server, 1 << 20).with_inflater(Some(Inflater::new(ContextTakeover::Allowed)));
            let (mut input, mut position, mut seen) = (frames.bytes.to_vec(), 0, Vec::new());
            while let Some(incoming) = reader.next(&mut input, &mut position).expect("valid frames") {
                match incoming {
                    Incoming::Text(text) => seen.push(text.as_bytes().to_vec()),
                    Incoming::Binary(data) => seen.push(data.to_vec()),
                    other => panic!("{other:?}"),
                }
            }
            let expected = [json.as_bytes(), json.as_bytes(), b"", b"tiny", &random, json.as_bytes()];
            assert_eq!(seen, expected);
        }
    }
}
