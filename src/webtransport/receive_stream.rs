//! The door of a `WebTransportReceiveStream`: <https://www.w3.org/TR/webtransport/#receive-stream>.
//!
//! The stream's task reads a little ahead; JavaScript takes when `read()` asks. What nobody reads stays in QUIC, whose
//! flow control then stops the peer.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use quinn::{ReadError, RecvStream, VarInt};
use tokio::sync::Notify;

use super::established::{Session, varint};
use super::http3::error_code::{ErrorCode, http_code_to_webtransport_code, webtransport_code_to_http_code};
use super::session::{WebTransportEvent, WebTransportSession};
use super::streams::{ReceiveEnd, ReceiveHalf};
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Payload, Port};

/// Bytes that a stream holds before JavaScript has asked for them, so that a read needs no round trip to the task.
const AHEAD: usize = 128 * 1024;
/// Chunks taken from QUIC at once; one is a packet's share.
const BATCH: usize = 32;

/// The native half of a `WebTransportReceiveStream`.
#[napi]
pub struct WebTransportReceiveStream {
    queue: Arc<ReceiveQueue>,
}

#[napi]
impl WebTransportReceiveStream {
    /// Takes the receiving half of the stream that the session calls `key`.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, session: &WebTransportSession, key: u32) -> Result<Self> {
        let gone = || Error::new(ErrorName::InvalidStateError, "the stream is gone");
        let session = session.session().ok_or_else(gone)?;
        let half = session.streams.take_receive(key).ok_or_else(gone)?;
        let queue = Arc::new(ReceiveQueue::new(half.first));
        let port = hub.port(id);
        let task = Task {
            stream: half.stream,
            end: half.end,
            queue: queue.clone(),
            session: session.clone(),
            port: port.clone(),
        };
        session.run_stream(&port, WebTransportEvent::ReceiveEnded, task.run());
        Ok(Self { queue })
    }

    /// How many bytes are there to take; 0 when none are yet, and `Readable` will say when; −1 when all have been taken
    /// and the peer has finished.
    #[napi(catch_unwind)]
    pub fn available(&self) -> f64 {
        self.queue.available()
    }

    /// Copies bytes into `target` and says how many.
    #[napi(catch_unwind)]
    pub fn read(&self, mut target: BufferSlice<'_>) -> f64 {
        self.queue.read(&mut target) as f64
    }

    /// How many bytes have come, in order; −1 when more of them may stand in QUIC.
    #[napi(catch_unwind)]
    pub fn received(&self) -> f64 {
        let state = self.queue.state();
        if state.bytes >= AHEAD && !state.finished {
            -1.0
        } else {
            state.received as f64
        }
    }

    /// Tells the peer that nobody will read the rest: STOP_SENDING with an application's code.
    #[napi(catch_unwind)]
    pub fn stop(&self, code: u32) {
        self.queue.stop(code);
    }
}

impl Drop for WebTransportReceiveStream {
    fn drop(&mut self) {
        // Collected without being read to its end.
        self.queue.stop(0);
    }
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// All that has ever come.
    received: u64,
    /// The peer has finished; what is in the queue is the rest.
    finished: bool,
    /// JavaScript waits for bytes.
    awaited: bool,
    stopped: Option<u32>,
}

#[derive(Default)]
struct ReceiveQueue {
    state: Mutex<State>,
    changed: Notify,
}

impl ReceiveQueue {
    fn new(first: Bytes) -> Self {
        let queue = Self::default();
        queue.arrived(first);
        queue
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn available(&self) -> f64 {
        let mut state = self.state();
        if state.bytes > 0 {
            return state.bytes as f64;
        }
        if state.finished {
            return -1.0;
        }
        state.awaited = true;
        0.0
    }

    fn read(&self, mut target: &mut [u8]) -> usize {
        let mut state = self.state();
        let before = state.bytes;
        while !target.is_empty()
            && let Some(chunk) = state.chunks.front_mut()
        {
            let length = chunk.len().min(target.len());
            let (now, later) = target.split_at_mut(length);
            chunk.copy_to_slice(now);
            target = later;
            if chunk.is_empty() {
                state.chunks.pop_front();
            }
            state.bytes -= length;
        }
        if before >= AHEAD && state.bytes < AHEAD {
            self.changed.notify_one();
        }
        before - state.bytes
    }

    fn stop(&self, code: u32) {
        let mut state = self.state();
        if state.stopped.is_none() {
            state.stopped = Some(code);
            state.chunks.clear();
            state.bytes = 0;
            self.changed.notify_one();
        }
    }

    /// True when JavaScript has to be told.
    fn arrived(&self, chunk: Bytes) -> bool {
        let mut state = self.state();
        state.bytes += chunk.len();
        state.received += chunk.len() as u64;
        if !chunk.is_empty() {
            state.chunks.push_back(chunk);
        }
        state.bytes > 0 && std::mem::take(&mut state.awaited)
    }

    fn is_full(&self) -> bool {
        self.state().bytes >= AHEAD
    }

    fn stopped(&self) -> Option<u32> {
        self.state().stopped
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
        let end = match self.read_all().await {
            Err(Ended::Reset(code)) if self.session.gone(code).await => Err(Ended::SessionGone),
            end => end,
        };
        match end {
            Ok(()) => self
                .port
                .emit_terminal(WebTransportEvent::ReceiveFinished, 0, 0, Payload::None),
            Err(Ended::Reset(code)) => {
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
                self.queue.state().finished = true;
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
            let room = !self.queue.is_full();
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
                for chunk in &mut batch[..count] {
                    tell |= self.queue.arrived(std::mem::take(chunk));
                }
                if tell {
                    self.port.emit(WebTransportEvent::Readable, 0, 0, Payload::None);
                }
                ControlFlow::Continue(())
            }
            Ok(None) => {
                self.queue.state().finished = true;
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
