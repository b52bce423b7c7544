//! `DuplexStream`: a `stream.Duplex` of Node under a connection, where there is no socket of our own to be had: TLS that
//! Node has made, a framework's tunnel, a named pipe.
//!
//! What the script reads from the stream is pushed down; what the connection writes comes up as events. Both ways are
//! bounded: the script pauses its stream while [`HIGH`] bytes are unread, the connection waits while [`HIGH`] bytes that
//! it wrote are on their way through the stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::ByteStream;
use crate::hub::{Hub, Payload, Port};

/// Bytes that may wait in each direction; more than one TLS record, and few enough for a slow consumer to notice.
const HIGH: usize = 256 * 1024;
/// The script reads on when no more than this is left.
const LOW: usize = 64 * 1024;
/// Bytes of one write.
const WRITE: usize = 64 * 1024;

/// What a stream is told.
#[napi]
pub enum DuplexStreamEvent {
    /// Write the payload, and say so with `written`.
    Write,
    /// Read on: there is room again.
    Room,
    /// End the writable side.
    End,
    /// Nothing uses the stream any more.
    Closed,
}

impl From<DuplexStreamEvent> for i32 {
    fn from(event: DuplexStreamEvent) -> Self {
        event as Self
    }
}

struct State {
    incoming: BytesMut,
    /// The script was told to wait.
    full: bool,
    /// The peer has ended its direction.
    ended: bool,
    /// The stream is gone.
    broken: bool,
    /// Bytes that the stream has not taken yet.
    in_flight: usize,
    shut_down: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Shared {
    state: Mutex<State>,
    port: Arc<Port>,
}

impl Shared {
    fn new(port: Arc<Port>) -> Arc<Self> {
        let state = State {
            incoming: BytesMut::new(),
            full: false,
            ended: false,
            broken: false,
            in_flight: 0,
            shut_down: false,
            reader: None,
            writer: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            port,
        })
    }

    /// No panic can leave the state half changed: each change is a few assignments.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The script's half of the stream.
#[napi]
pub struct DuplexStream {
    shared: Arc<Shared>,
}

#[napi]
impl DuplexStream {
    /// Its events go to the object `id`.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32) -> Self {
        Self {
            shared: Shared::new(hub.port(id)),
        }
    }

    /// Bytes that the stream has read. False: no more before `Room`.
    #[napi(catch_unwind)]
    pub fn push(&self, data: BufferSlice<'_>) -> bool {
        let mut state = self.shared.lock();
        state.incoming.extend_from_slice(&data);
        state.full = state.incoming.len() >= HIGH;
        wake(&mut state.reader);
        !state.full
    }

    /// The peer has ended its direction.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        let mut state = self.shared.lock();
        state.ended = true;
        wake(&mut state.reader);
    }

    /// The stream has taken so many bytes of what it was to write.
    #[napi(catch_unwind)]
    pub fn written(&self, length: u32) {
        let mut state = self.shared.lock();
        state.in_flight = state.in_flight.saturating_sub(length as usize);
        wake(&mut state.writer);
    }

    /// The stream is gone, with an error or without.
    #[napi(catch_unwind)]
    pub fn fail(&self) {
        let mut state = self.shared.lock();
        state.broken = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }
}

impl DuplexStream {
    /// The connection's half. There is to be one.
    pub(crate) fn transport(&self) -> DuplexTransport {
        DuplexTransport {
            shared: self.shared.clone(),
        }
    }
}

/// The connection's half of the stream.
pub(crate) struct DuplexTransport {
    shared: Arc<Shared>,
}

impl ByteStream for DuplexTransport {}

impl AsyncRead for DuplexTransport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        let length = state.incoming.len().min(buffer.remaining());
        if length > 0 {
            buffer.put_slice(&state.incoming[..length]);
            state.incoming.advance(length);
            if state.full && state.incoming.len() <= LOW {
                state.full = false;
                drop(state);
                self.shared.port.emit(DuplexStreamEvent::Room, 0, 0, Payload::None);
            }
            return Poll::Ready(Ok(()));
        }
        if state.ended {
            return Poll::Ready(Ok(()));
        }
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        // An idle stream keeps no memory.
        state.incoming = BytesMut::new();
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for DuplexTransport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if state.broken || state.shut_down {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.in_flight >= HIGH {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut bytes = BytesMut::new();
        for slice in slices {
            let room = WRITE - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let length = bytes.len();
        state.in_flight += length;
        drop(state);
        let payload = Payload::Bytes(bytes.freeze());
        if self.shared.port.emit(DuplexStreamEvent::Write, 0, 0, payload) {
            Poll::Ready(Ok(length))
        } else {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Ready when the stream has taken all.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        // First: a stream that is gone by now may have taken all before.
        if state.in_flight == 0 {
            return Poll::Ready(Ok(()));
        }
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let first = !std::mem::replace(&mut self.shared.lock().shut_down, true);
        if first {
            self.shared.port.emit(DuplexStreamEvent::End, 0, 0, Payload::None);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for DuplexTransport {
    fn drop(&mut self) {
        self.shared
            .port
            .emit_terminal(DuplexStreamEvent::Closed, 0, 0, Payload::None);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::hub::testing::Ear;

    /// A stream that has written `b"last"`, is told that so many bytes were taken, and then that it is gone.
    async fn flushed_after_its_end(taken: u32) -> io::Result<()> {
        let ear = Ear::new();
        let stream = DuplexStream {
            shared: Shared::new(ear.port(1)),
        };
        let mut transport = stream.transport();
        transport.write_all(b"last").await?;
        stream.written(taken);
        stream.end();
        stream.fail();
        transport.flush().await
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_has_written_what_it_took_before() {
        assert!(flushed_after_its_end(4).await.is_ok());
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_has_not_written_the_rest() {
        let failure = flushed_after_its_end(3).await.err().map(|error| error.kind());
        assert_eq!(failure, Some(io::ErrorKind::BrokenPipe));
    }
}
