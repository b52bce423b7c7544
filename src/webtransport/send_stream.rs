//! The door of a `WebTransportSendStream`: <https://www.w3.org/TR/webtransport/#send-stream>.
//!
//! JavaScript puts chunks into a short queue of ours; the stream's task moves them into QUIC as flow control allows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use quinn::{SendStream, StoppedError, VarInt, WriteError};
use tokio::sync::Notify;

use super::established::{Session, varint};
use super::http3::error_code::{ErrorCode, http_code_to_webtransport_code, webtransport_code_to_http_code};
use super::session::{WebTransportEvent, WebTransportSession};
use super::streams::SendHalf;
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Payload, Port};

/// Bytes that a stream holds before QUIC has taken them, so that QUIC never waits for JavaScript between two writes.
const AHEAD: usize = 128 * 1024;
/// When a script that waits is told to write on.
const LOW: usize = AHEAD / 2;
/// Chunks handed to QUIC at once.
const BATCH: usize = 16;

/// The native half of a `WebTransportSendStream`.
#[napi]
pub struct WebTransportSendStream {
    queue: Arc<SendQueue>,
}

#[napi]
impl WebTransportSendStream {
    /// Takes the sending half of the stream that the session calls `key`.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, session: &WebTransportSession, key: u32) -> Result<Self> {
        let gone = || Error::new(ErrorName::InvalidStateError, "the stream is gone");
        let session = session.session().ok_or_else(gone)?;
        let half = session.streams.take_send(key).ok_or_else(gone)?;
        let queue = Arc::new(SendQueue::new(half.header.clone()));
        let port = hub.port(id);
        let task = Task {
            header: half.header.len(),
            stream: half.stream,
            queue: queue.clone(),
            session: session.clone(),
            port: port.clone(),
        };
        session.run_stream(&port, WebTransportEvent::SendEnded, task.run());
        Ok(Self { queue })
    }

    /// Copies a chunk into the queue. False when the queue is full now: `Writable` says when it no longer is.
    #[napi(catch_unwind)]
    pub fn write(&self, chunk: BufferSlice<'_>) -> bool {
        self.queue.write(Bytes::copy_from_slice(&chunk))
    }

    /// Ends the stream after what was written; `Finished` says when the peer has all.
    #[napi(catch_unwind)]
    pub fn finish(&self) {
        self.queue.end(End::Finish);
    }

    /// Gives the stream up with an application's code: RESET_STREAM.
    #[napi(catch_unwind)]
    pub fn reset(&self, code: u32) {
        self.queue.end(End::Reset(code));
    }
}

impl Drop for WebTransportSendStream {
    fn drop(&mut self) {
        // Collected without close: nobody can write the rest. After `finish` or `reset` this changes nothing.
        self.queue.abandon();
    }
}

/// How a script has ended the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Finish,
    Reset(u32),
}

struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// JavaScript waits for room.
    awaited: bool,
    end: End,
}

struct SendQueue {
    state: Mutex<State>,
    changed: Notify,
}

/// What the task has to do next.
enum Next {
    Write,
    Finish,
    Reset(u32),
    Wait,
}

impl SendQueue {
    fn new(header: Bytes) -> Self {
        let chunks = if header.is_empty() {
            VecDeque::new()
        } else {
            VecDeque::from([header])
        };
        let state = State {
            chunks,
            bytes: 0,
            awaited: false,
            end: End::Open,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, chunk: Bytes) -> bool {
        let mut state = self.state();
        state.bytes += chunk.len();
        if !chunk.is_empty() {
            state.chunks.push_back(chunk);
        }
        state.awaited = state.bytes > AHEAD;
        if state.chunks.len() == 1 {
            self.changed.notify_one();
        }
        !state.awaited
    }

    fn end(&self, end: End) {
        let mut state = self.state();
        if !matches!(state.end, End::Reset(_)) {
            state.end = end;
        }
        self.changed.notify_one();
    }

    fn abandon(&self) {
        let mut state = self.state();
        if state.end == End::Open {
            state.end = End::Reset(0);
            self.changed.notify_one();
        }
    }

    /// Moves chunks that wait into `batch`, as far as it has places.
    fn next(&self, batch: &mut VecDeque<Bytes>) -> Next {
        let mut state = self.state();
        if let End::Reset(code) = state.end {
            return Next::Reset(code);
        }
        while batch.len() < BATCH
            && let Some(chunk) = state.chunks.pop_front()
        {
            batch.push_back(chunk);
        }
        match (batch.is_empty(), state.end) {
            (false, _) => Next::Write,
            (true, End::Finish) => Next::Finish,
            (true, End::Open | End::Reset(_)) => Next::Wait,
        }
    }

    /// QUIC has taken so many bytes. True when JavaScript has to be told of the room.
    fn taken(&self, bytes: usize) -> bool {
        let mut state = self.state();
        // The header, which is not counted, goes first.
        state.bytes = state.bytes.saturating_sub(bytes);
        state.bytes <= LOW && std::mem::take(&mut state.awaited)
    }
}

/// What the stream's task knows.
struct Task {
    stream: SendStream,
    queue: Arc<SendQueue>,
    session: Arc<Session>,
    port: Arc<Port>,
    /// What is left of the stream's header, which is no script's.
    header: usize,
}

/// How a stream ended that was not finished.
enum Ended {
    /// The peer sent STOP_SENDING.
    Stopped(VarInt),
    /// The script gave it up.
    Reset,
    /// Its session or connection is gone.
    SessionGone,
}

/// What QUIC says at the end of a stream.
fn ended(outcome: std::result::Result<Option<VarInt>, StoppedError>) -> std::result::Result<(), Ended> {
    match outcome {
        Ok(None) => Ok(()),
        Ok(Some(code)) => Err(Ended::Stopped(code)),
        Err(StoppedError::ConnectionLost(_) | StoppedError::ZeroRttRejected) => Err(Ended::SessionGone),
    }
}

impl Task {
    async fn run(mut self) {
        let end = match self.write_all().await {
            Err(Ended::Stopped(code)) if self.session.gone(code).await => Err(Ended::SessionGone),
            end => end,
        };
        match end {
            Ok(()) => self
                .port
                .emit_terminal(WebTransportEvent::Finished, 0, 0, Payload::None),
            Err(Ended::Stopped(code)) => {
                // The peer's codec of codes decides what the script sees; HTTP's own codes are none of its business.
                let code = http_code_to_webtransport_code(code.into_inner());
                let known = u32::from(code.is_some());
                self.port
                    .emit_terminal(WebTransportEvent::Stopped, code.unwrap_or(0), known, Payload::None)
            }
            Err(Ended::Reset | Ended::SessionGone) => {
                self.port
                    .emit_terminal(WebTransportEvent::SendEnded, 0, 0, Payload::None)
            }
        };
    }

    async fn write_all(&mut self) -> std::result::Result<(), Ended> {
        let stopped = self.stream.stopped();
        let mut stopped = std::pin::pin!(stopped);
        let session = self.session.clone();
        let gone = session.ended.cancelled();
        let mut gone = std::pin::pin!(gone);
        let mut batch = VecDeque::with_capacity(BATCH);
        let mut finished = false;
        loop {
            let writing = match self.queue.next(&mut batch) {
                Next::Write => true,
                Next::Finish if !finished => {
                    finished = true;
                    // An error means that the stream has ended another way: `stopped` knows which.
                    let _otherwise = self.stream.finish();
                    false
                }
                Next::Finish | Next::Wait => false,
                Next::Reset(code) => {
                    // An error means that the peer has all of it, or has stopped it: there is nothing to give up.
                    let _done = self.stream.reset(varint(webtransport_code_to_http_code(code)));
                    return Err(Ended::Reset);
                }
            };
            tokio::select! {
                biased;
                // Before the session's end: a stream that the peer has whole has not been lost with it.
                outcome = &mut stopped, if !writing => return ended(outcome),
                () = &mut gone => {
                    let patience = session.patience.get().copied().unwrap_or_default();
                    if finished && let Ok(outcome) = tokio::time::timeout(patience, &mut stopped).await {
                        return ended(outcome);
                    }
                    // An error means that it has ended already.
                    let _done = self.stream.reset(varint(ErrorCode::WT_SESSION_GONE));
                    return Err(Ended::SessionGone);
                }
                written = self.stream.write_chunks(batch.make_contiguous()), if writing => match written {
                    Ok(written) => {
                        batch.drain(..written.chunks);
                        let header = self.header.min(written.bytes);
                        self.header -= header;
                        session.underlying.sent(written.bytes - header);
                        if self.queue.taken(written.bytes) {
                            self.port.emit(WebTransportEvent::Writable, 0, 0, Payload::None);
                        }
                    }
                    Err(WriteError::Stopped(code)) => return Err(Ended::Stopped(code)),
                    Err(WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected) => {
                        return Err(Ended::SessionGone);
                    }
                },
                () = self.queue.changed.notified() => {}
            }
        }
    }
}

/// A stream that opens or ends without JavaScript: its session ended first, or nobody took it.
pub(crate) fn discard(mut half: SendHalf, code: ErrorCode) {
    // An error means that it has ended already.
    let _done = half.stream.reset(varint(code));
}
