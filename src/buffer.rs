//! Bytes on their way in and out of JavaScript.
//!
//! Everything going up is copied once into memory that JavaScript allotted and reuses (see [`crate::hub`]); external
//! array buffers cost three to seven times a copy at the sizes that matter and are forbidden in some hosts.

use bytes::Bytes;

/// From this length on a payload travels beside the batch and is copied straight into its final `ArrayBuffer`.
pub(crate) const LARGE: usize = 16 * 1024;

/// What an event carries.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    /// Nothing.
    None,
    /// Bytes that the caller keeps; copied once, into the batch.
    Slice(&'a [u8]),
    /// Bytes that the event takes over; kept without a copy when large.
    Bytes(Bytes),
    /// Text; marked when it is ASCII, which JavaScript decodes faster.
    Text(&'a str),
}

impl Payload<'_> {
    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Slice(bytes) => bytes.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }
}
