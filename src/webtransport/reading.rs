//! The first bytes of a stream that the peer opened, which say what it is for.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-6.2>

use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::http3::stream_header::{self, StreamHeader};
use super::limits::STREAM_HEADER_TIMEOUT;
use super::streams::Direction;
use super::task::End;

/// The most that is read at once.
const PIECE: usize = 4096;

/// A stream whose header is being read.
pub(crate) struct Reading {
    pub(crate) stream: RecvStream,
    /// What has been read beyond the header.
    pub(crate) held: Bytes,
}

impl Reading {
    /// A stream of which nothing has been read.
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            held: Bytes::new(),
        }
    }

    /// What the stream is for; `None` when it ended before it said so. What follows the header stays in `held`. Cancel
    /// safe.
    pub(crate) async fn header(&mut self, direction: Direction) -> Result<Option<StreamHeader>, End> {
        loop {
            let header = match direction {
                Direction::Bidirectional => stream_header::decode_bidirectional(&self.held)?,
                Direction::Unidirectional => stream_header::decode_unidirectional(&self.held)?,
            };
            if let Some((header, length)) = header {
                self.held = self.held.split_off(length);
                return Ok(Some(header));
            }
            match self.stream.read_chunk(PIECE, true).await {
                Ok(Some(chunk)) if self.held.is_empty() => self.held = chunk.bytes,
                Ok(Some(chunk)) => self.held = [&self.held[..], &chunk.bytes].concat().into(),
                Err(ReadError::ConnectionLost(error)) => return Err(End::Lost(error)),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    /// The same for a stream that doesn't say it at once; `None` when it ended or was too slow.
    pub(crate) async fn in_time(mut self, direction: Direction) -> Result<Option<(Option<StreamHeader>, Self)>, End> {
        match tokio::time::timeout(STREAM_HEADER_TIMEOUT, self.header(direction)).await {
            Ok(header) => Ok(Some((header?, self))),
            Err(_elapsed) => Ok(None),
        }
    }
}
