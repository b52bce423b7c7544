//! What waits to be sent, in pieces of a size that one write takes.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use super::memory::Memory;
use super::message::Kind;
use super::shared::Shared;

/// Frames are gathered into chunks of this size; a larger frame is a chunk of its own.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Chunks that one vectored write takes.
const MAX_SLICES: usize = 64;

/// Frames, ready for the wire, or messages that are to be compressed before.
#[derive(Default)]
pub(crate) struct Chunk {
    pub(crate) form: Form,
    pub(crate) bytes: Memory,
    /// How much of them is the application's data: what `bufferedAmount` counts.
    pub(crate) application: usize,
    written: usize,
}

/// What the bytes of a chunk are.
#[derive(Debug, Default, Clone)]
pub(crate) enum Form {
    /// Whole frames.
    #[default]
    Frames,
    /// Messages, each behind a head.
    Messages,
    /// None: the frame that all get takes their place.
    Shared(Arc<Shared>),
}

/// Bytes before each message: its length, doubled, and 1 for text.
const HEAD: usize = size_of::<u64>();

impl Chunk {
    /// A chunk with room for this many bytes.
    pub(crate) fn with_capacity(form: Form, capacity: usize) -> Self {
        Self {
            form,
            bytes: Memory::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// Appends a message.
    pub(crate) fn add_message(&mut self, kind: Kind, data: &[u8]) {
        let head = (data.len() as u64) << 1 | u64::from(kind == Kind::Text);
        self.bytes.extend_from_slice(&head.to_le_bytes());
        self.bytes.extend_from_slice(data);
        self.application += data.len();
    }

    /// The message that begins at `position`, and where it ends.
    pub(crate) fn message(&self, position: usize) -> Option<(Kind, &[u8], usize)> {
        let (head, rest) = self.bytes.get(position..)?.split_first_chunk::<HEAD>()?;
        let head = u64::from_le_bytes(*head);
        let length = (head >> 1) as usize;
        let kind = if head & 1 == 0 { Kind::Binary } else { Kind::Text };
        Some((kind, rest.get(..length)?, position + HEAD + length))
    }

    /// Whether its bytes can go to the wire as they are.
    pub(crate) fn is_frames(&self) -> bool {
        matches!(self.form, Form::Frames)
    }

    /// Whether a message of this length goes in, too.
    pub(crate) fn has_room(&self, form: &Form, length: usize) -> bool {
        let same = match (&self.form, form) {
            (Form::Frames, Form::Frames) | (Form::Messages, Form::Messages) => true,
            (Form::Frames | Form::Messages | Form::Shared(_), _) => false,
        };
        same && self.bytes.len() + length <= CHUNK
    }

    fn reported(&self) -> usize {
        (self.application as u128 * self.written as u128 / self.bytes.len().max(1) as u128) as usize
    }

    /// What is left of it.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

/// Takes `length` written bytes off `chunks`; returns how much of the application's data went with them.
pub(crate) fn consume(chunks: &mut VecDeque<Chunk>, mut length: usize) -> usize {
    let mut application = 0;
    while let Some(chunk) = chunks.front_mut().filter(|chunk| chunk.is_frames()) {
        let before = chunk.reported();
        let step = length.min(chunk.rest().len());
        chunk.written += step;
        length -= step;
        application += chunk.reported() - before;
        if !chunk.rest().is_empty() {
            break;
        }
        chunks.pop_front();
    }
    application
}

/// The slices of one vectored write: frames up to the first messages that are to be compressed.
pub(crate) fn slices(chunks: &VecDeque<Chunk>) -> ([IoSlice<'_>; MAX_SLICES], usize) {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut count = 0;
    let frames = chunks.iter().take_while(|chunk| chunk.is_frames());
    for (slice, chunk) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(chunk.rest());
        count += 1;
    }
    (slices, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(length: usize, application: usize) -> Chunk {
        Chunk {
            bytes: vec![0; length].into(),
            application,
            ..Chunk::default()
        }
    }

    #[test]
    fn every_application_byte_is_reported_once() {
        for step in 1..50 {
            let mut chunks = VecDeque::from([chunk(100, 90), chunk(7, 0), chunk(33, 31)]);
            let mut reported = 0;
            let mut written = 0;
            while !chunks.is_empty() {
                let length = step.min(140 - written);
                reported += consume(&mut chunks, length);
                written += length;
                assert!(reported <= written);
            }
            assert_eq!((written, reported), (140, 121));
        }
    }

    #[test]
    fn what_is_no_frame_yet_is_not_written() {
        let shared = Chunk::with_capacity(Form::Shared(Arc::new(Shared::new(Kind::Text, b"all"))), 0);
        let mut chunks = VecDeque::from([chunk(10, 8), shared]);
        assert_eq!(consume(&mut chunks, 10), 8);
        assert_eq!(chunks.len(), 1);
    }

    #[test]
    fn messages_are_read_as_they_were_added() {
        let mut chunk = Chunk::with_capacity(Form::Messages, 0);
        chunk.add_message(Kind::Text, b"text");
        chunk.add_message(Kind::Binary, b"");
        assert_eq!(chunk.message(0), Some((Kind::Text, &b"text"[..], 12)));
        assert_eq!(chunk.message(12), Some((Kind::Binary, &b""[..], 20)));
        assert_eq!(chunk.message(20), None);
        assert_eq!(chunk.application, 4);
    }

    #[test]
    fn a_write_ends_before_what_is_not_compressed_yet() {
        let messages = Chunk {
            form: Form::Messages,
            ..chunk(10, 2)
        };
        let chunks = VecDeque::from([chunk(1, 1), chunk(2, 1), messages, chunk(3, 1)]);
        assert_eq!(slices(&chunks).1, 2);
    }
}
