//! The door of a `WebTransportReceiveStream`: <https://www.w3.org/TR/webtransport/#receive-stream>.
//!
//! The stream's task reads a little ahead; JavaScript takes when `read()` asks. What nobody reads stays in QUIC, whose
//! flow control then stops the peer.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use quinn::{ReadError, RecvStream, VarInt};

use super::credit::Ending;
use super::established::{Session, varint};
use super::halves::Later;
use super::http3::error_code::{ErrorCode, http_code_to_webtransport_code, webtransport_code_to_http_code};
use super::receive_queue::{AHEAD, ReceiveQueue, Received};
use super::session::{WebTransportEvent, WebTransportSession};
use super::streams::{ReceiveEnd, ReceiveHalf};
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Payload, Port};

/// Chunks taken from QUIC at once; one is a packet's share.
const BATCH: usize = 32;

/// The native half of a `WebTransportReceiveStream`: the methods of its session that take the stream's key.
#[napi]
impl WebTransportSession {
    /// Takes the receiving half of a stream for the object that is registered under `id`.
    #[napi(catch_unwind)]
    pub fn start_receiving(&self, hub: &Hub, id: u32, key: u32) -> Result<()> {
        let gone = || Error::new(ErrorName::InvalidStateError, "the stream is gone");
        let session = self.session().ok_or_else(gone)?;
        let half = session.streams.take_receive(key).ok_or_else(gone)?;
        let queue = Arc::new(ReceiveQueue::new(half.first, half.inflow));
        let port = hub.port(id);
        let task = Task {
            stream: half.stream,
            end: half.end,
            queue: queue.clone(),
            session: session.clone(),
            port: port.clone(),
        };
        self.halves.add_receive(key, queue);
        self.halves.later(Later::Start(Box::new(move || {
            session.run_stream(port, WebTransportEvent::ReceiveEnded, task.run());
        })));
        Ok(())
    }

    /// How many bytes there are to take; 0 when none are yet, and `Readable` will say when. If they fit into `target` they
    /// are copied there and taken. −1 − n when those n were the last ones before the peer's end.
    #[napi(catch_unwind)]
    pub fn receive(&self, key: u32, mut target: BufferSlice<'_>) -> f64 {
        let Some(queue) = self.halves.receive(key) else {
            return -1.0;
        };
        match queue.receive(&mut target) {
            Received::Waiting(count) | Received::Taken(count) => count as f64,
            Received::Last(count) => -1.0 - count as f64,
        }
    }

    /// Copies bytes into `target` and says how many.
    #[napi(catch_unwind)]
    pub fn read(&self, key: u32, mut target: BufferSlice<'_>) -> f64 {
        let queue = self.halves.receive(key);
        queue.map_or(0.0, |queue| queue.read(&mut target) as f64)
    }

    /// How many bytes have come, in order; −1 when more of them may stand in QUIC.
    #[napi(catch_unwind)]
    pub fn received(&self, key: u32) -> f64 {
        self.halves.receive(key).map_or(-1.0, |queue| queue.received())
    }

    /// Tells the peer that nobody will read the rest: STOP_SENDING with an application's code.
    #[napi(catch_unwind)]
    pub fn stop(&self, key: u32, code: u32) {
        if let Some(queue) = self.halves.receive(key) {
            queue.stop(code);
        }
    }

    /// JavaScript's object of the receiving half has ended or been collected.
    #[napi(catch_unwind)]
    pub fn release_receiving(&self, key: u32) {
        self.halves.release_receive(key);
    }
}

struct Task {
    stream: RecvStream,
    /// How it had ended before JavaScript took it.
    end: Option<ReceiveEnd>,
    queue: Arc<ReceiveQueue>,
    session: Arc<Session>,
    port: Arc<Port>,
}

/// How a stream ended before its last byte.
enum Ended {
    /// The peer sent RESET_STREAM.
    Reset(VarInt),
    /// Nobody wants the rest.
    Stopped,
    /// Its session or connection is gone.
    SessionGone,
}

impl Task {
    async fn run(mut self) {
        let end = self.read_all().await;
        if let Some(inflow) = &self.queue.inflow {
            inflow.end(if end.is_ok() { Ending::Whole } else { Ending::Cut });
        }
        let end = match end {
            Err(Ended::Reset(code)) if self.session.gone(code).await => Err(Ended::SessionGone),
            end => end,
        };
        match end {
            Ok(()) => self
                .port
                .emit_terminal(WebTransportEvent::ReceiveFinished, 0, 0, Payload::None),
            Err(Ended::Reset(code)) => {
                // The script gets the error instead, and is not to hold what the session may have.
                self.queue.clear();
                let code = http_code_to_webtransport_code(code.into_inner());
                let known = u32::from(code.is_some());
                self.port
                    .emit_terminal(WebTransportEvent::Reset, code.unwrap_or(0), known, Payload::None)
            }
            Err(Ended::Stopped | Ended::SessionGone) => {
                self.port
                    .emit_terminal(WebTransportEvent::ReceiveEnded, 0, 0, Payload::None)
            }
        };
    }

    async fn read_all(&mut self) -> std::result::Result<(), Ended> {
        match self.end {
            None => {}
            Some(ReceiveEnd::Finished) => {
                self.queue.finish();
                return Ok(());
            }
            Some(ReceiveEnd::Reset(code)) => return Err(Ended::Reset(code)),
        }
        let session = self.session.clone();
        let gone = session.ended.cancelled();
        let mut gone = std::pin::pin!(gone);
        let mut batch: [Bytes; BATCH] = std::array::from_fn(|_| Bytes::new());
        loop {
            if let Some(code) = self.queue.stopped() {
                // An error means that it has ended already.
                let _done = self.stream.stop(varint(webtransport_code_to_http_code(code)));
                return Err(Ended::Stopped);
            }
            let room = self.queue.has_room();
            tokio::select! {
                biased;
                () = &mut gone => break,
                read = self.stream.read_chunks(&mut batch), if room => match self.take(read, &mut batch) {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(end) => return end,
                },
                () = self.queue.changed.notified() => {}
            }
        }
        // What came before the session's end belongs to the script, as far as there is room for it.
        for _ in 0..AHEAD / BATCH {
            if self.queue.is_full() {
                break;
            }
            let read = {
                let reading = std::pin::pin!(self.stream.read_chunks(&mut batch));
                reading.poll(&mut Context::from_waker(Waker::noop()))
            };
            let Poll::Ready(read) = read else { break };
            if let ControlFlow::Break(end) = self.take(read, &mut batch) {
                return end;
            }
        }
        // An error means that it has ended already.
        let _done = self.stream.stop(varint(ErrorCode::WT_SESSION_GONE));
        Err(Ended::SessionGone)
    }

    /// Takes what a read brought: chunks, or the end.
    fn take(
        &self,
        read: std::result::Result<Option<usize>, ReadError>,
        batch: &mut [Bytes],
    ) -> ControlFlow<std::result::Result<(), Ended>> {
        match read {
            Ok(Some(count)) => {
                let mut tell = false;
                if let Some(inflow) = &self.queue.inflow {
                    inflow.arrived(batch[..count].iter().map(Bytes::len).sum());
                }
                for chunk in &mut batch[..count] {
                    tell |= self.queue.arrived(std::mem::take(chunk));
                }
                if tell {
                    self.port.emit(WebTransportEvent::Readable, 0, 0, Payload::None);
                }
                ControlFlow::Continue(())
            }
            Ok(None) => {
                self.queue.finish();
                ControlFlow::Break(Ok(()))
            }
            Err(ReadError::Reset(code)) => ControlFlow::Break(Err(Ended::Reset(code))),
            Err(
                ReadError::ConnectionLost(_)
                | ReadError::ClosedStream
                | ReadError::IllegalOrderedRead
                | ReadError::ZeroRttRejected,
            ) => ControlFlow::Break(Err(Ended::SessionGone)),
        }
    }
}

/// A stream that ends without JavaScript: its session ended first, or nobody took it.
pub(crate) fn discard(mut half: ReceiveHalf, code: ErrorCode) {
    // An error means that it has ended already.
    let _done = half.stream.stop(varint(code));
}
