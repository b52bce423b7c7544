//! The message that is being gathered from its frames.

use bytes::{Bytes, BytesMut};

use super::{CORRUPT, Failure, Kind, LONG, NOT_UTF8, TOO_BIG};
use crate::websocket::block;
use crate::websocket::deflate::{Corrupt, Inflater, OUTPUT};

/// Frames that one message may have. A peer could otherwise keep us busy for ever with empty ones.
pub(super) const MAX_FRAGMENTS: u32 = 131_072;

/// A longer message is not gathered in a block that serves again.
const LONGEST_BLOCK: usize = 256 * 1024;

const TOO_MANY_FRAGMENTS: Failure = Failure {
    code: 1008,
    reason: "too many fragments",
};

/// How the payload becomes the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It is the message.
    Plain,
    /// It is to be inflated. `received` bytes of it have come.
    Deflated { received: usize },
}

/// What has come of a message.
pub(super) struct Assembly {
    kind: Kind,
    pub(super) form: Form,
    pub(super) data: BytesMut,
    /// The capacity of the block that `data` began as, if it did.
    block: Option<usize>,
    /// How much of `data` is known to be whole UTF-8 sequences.
    validated: usize,
    fragments: u32,
}

impl Assembly {
    /// For a message of which `expected` bytes or more will come.
    pub(super) fn new(kind: Kind, form: Form, expected: usize) -> Self {
        let block = (LONG..=LONGEST_BLOCK)
            .contains(&expected)
            .then(|| expected.next_power_of_two());
        Self {
            kind,
            form,
            data: block.map_or_else(|| BytesMut::with_capacity(expected), block::take),
            block,
            validated: 0,
            fragments: 0,
        }
    }

    /// Counts a frame that continues the message. Returns how many bytes the frames before it had.
    pub(super) fn count_frame(&mut self) -> Result<usize, Failure> {
        self.fragments += 1;
        if self.fragments >= MAX_FRAGMENTS {
            return Err(TOO_MANY_FRAGMENTS);
        }
        Ok(match self.form {
            Form::Plain => self.data.len(),
            Form::Deflated { received } => received,
        })
    }

    /// Inflates a piece of the payload, to a message of at most `limit` bytes. Returns how much came out.
    pub(super) fn inflate(
        &mut self,
        inflater: &mut Inflater,
        mut piece: &[u8],
        limit: usize,
    ) -> Result<usize, Failure> {
        let before = self.data.len();
        loop {
            let out = inflater.inflate(&mut piece).map_err(|Corrupt| CORRUPT)?;
            self.add(out, limit)?;
            if out.len() < OUTPUT {
                return Ok(self.data.len() - before);
            }
        }
    }

    /// Inflates what is left when all of the payload has come. Returns how much came out.
    pub(super) fn finish(&mut self, inflater: &mut Inflater, limit: usize) -> Result<usize, Failure> {
        let before = self.data.len();
        loop {
            let out = inflater.finish().map_err(|Corrupt| CORRUPT)?;
            self.add(out, limit)?;
            if out.len() < OUTPUT {
                return Ok(self.data.len() - before);
            }
        }
    }

    /// Appends inflated bytes to a message of at most `limit` bytes.
    pub(super) fn add(&mut self, inflated: &[u8], limit: usize) -> Result<(), Failure> {
        if inflated.len() > limit.saturating_sub(self.data.len()) {
            return Err(TOO_BIG);
        }
        self.data.extend_from_slice(inflated);
        self.validate()
    }

    /// Checks what came since the last time. A sequence that is cut at the end may be right, so it waits.
    pub(super) fn validate(&mut self) -> Result<(), Failure> {
        if self.kind == Kind::Binary {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(&self.data[self.validated..]) {
            Ok(text) => self.validated += text.len(),
            Err(error) if error.error_len().is_none() => self.validated += error.valid_up_to(),
            Err(_) => return Err(NOT_UTF8),
        }
        Ok(())
    }

    /// The message, when its last byte has come.
    pub(super) fn complete(mut self) -> Result<(Kind, Bytes), Failure> {
        if self.kind == Kind::Text && self.validated < self.data.len() {
            return Err(NOT_UTF8);
        }
        let message = self.data.split().freeze();
        if let Some(capacity) = self.block
            && message.len() <= capacity
        {
            block::give_back(capacity, self.data);
        }
        Ok((self.kind, message))
    }
}
