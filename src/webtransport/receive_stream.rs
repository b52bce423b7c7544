//! The door of a `WebTransportReceiveStream`: <https://www.w3.org/TR/webtransport/#receive-stream>.
//!
//! The stream's task reads a little ahead; JavaScript takes when `read()` asks. What nobody reads stays in QUIC, whose
//! flow control then stops the peer.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use quinn::{ReadError, RecvStream, VarInt};

use super::credit::Ending;
use super::established::{Session, varint};
use super::http3::error_code::{ErrorCode, http_code_to_webtransport_code, webtransport_code_to_http_code};
use super::receive_queue::{AHEAD, ReceiveQueue, Received, Told};
use super::session::{WebTransportEvent, WebTransportSession};
use super::streams::{ReceiveEnd, ReceiveHalf};
use crate::hub::{Payload, Port};

/// Chunks taken from QUIC at once; one is a packet's share.
const BATCH: usize = 32;

/// The native half of a `WebTransportReceiveStream`: the methods of its session that take the number of its object.
#[napi]
impl WebTransportSession {
    /// How many bytes there are to take; 0 when none are yet, and `Readable` will say when. If they fit into `target` they
    /// are copied there and taken. −1 − n when those n were the last ones before the peer's end.
    #[napi(catch_unwind)]
    pub fn receive(&self, id: u32, mut target: BufferSlice<'_>) -> f64 {
        let Some(queue) = self.halves.receive(id) else {
            return 0.0;
        };
        match queue.receive(&mut target) {
            Received::Waiting(count) | Received::Taken(count) => count as f64,
            Received::Last(count) => -1.0 - count as f64,
        }
    }

    /// Copies bytes into `target` and says how many.
    #[napi(catch_unwind)]
    pub fn read(&self, id: u32, mut target: BufferSlice<'_>) -> f64 {
        let queue = self.halves.receive(id);
        queue.map_or(0.0, |queue| queue.read(&mut target) as f64)
    }

    /// How many bytes have come, in order; −1 when more of them may stand in QUIC.
    #[napi(catch_unwind)]
    pub fn received(&self, id: u32) -> f64 {
        self.halves.receive(id).map_or(-1.0, |queue| queue.received())
    }

    /// Tells the peer that nobody will read the rest: STOP_SENDING with an application's code.
    #[napi(catch_unwind)]
    pub fn stop(&self, id: u32, code: u32) {
        if let Some(queue) = self.halves.receive(id) {
            queue.stop(code);
        }
    }
}

impl WebTransportSession {
    /// Starts the receiving half of a stream, for the object that is registered under `id`.
    pub(crate) fn start_receiving(&self, session: &Arc<Session>, half: ReceiveHalf, id: u32) {
        let port = self.port.beside(id);
        let queue = Arc::new(ReceiveQueue::new(half.first, half.inflow));
        self.halves.add_receive(id, queue.clone());
        if half.end == Some(ReceiveEnd::Finished) {
            // All is there.
            queue.finish();
            if queue.is_empty() {
                port.emit_terminal(WebTransportEvent::ReceiveFinished, 1, 0, Payload::None);
            }
            return;
        }
        let task = Task {
            stream: half.stream,
            end: half.end,
            queue,
            session: session.clone(),
            port: port.clone(),
            is_told: true,
        };
        self.run_half(session, port, task.run(), WebTransportEvent::ReceiveEnded);
    }

    /// `Readable` is to say when there are bytes. It is not said when the last event has been, which says so itself.
    pub(crate) fn await_bytes(&self, id: u32) {
        if let Some(queue) = self.halves.receive(id)
            && queue.await_bytes()
        {
            self.port
                .beside(id)
                .emit(WebTransportEvent::Readable, 0, 0, Payload::None);
        }
    }
}

struct Task {
    stream: RecvStream,
    /// How it had ended before JavaScript took it.
    end: Option<ReceiveEnd>,
    queue: Arc<ReceiveQueue>,
    session: Arc<Session>,
    port: Arc<Port>,
    /// Nothing has come since JavaScript was told.
    is_told: bool,
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
            Ok(()) => match self.queue.tell() {
                Some(Told::Last(bytes)) => {
                    self.port
                        .emit_terminal(WebTransportEvent::Readable, 1, 0, Payload::Bytes(bytes))
                }
                None | Some(Told::Waiting | Told::Bytes(_)) => {
                    let is_empty = u32::from(self.queue.is_empty());
                    self.port
                        .emit_terminal(WebTransportEvent::ReceiveFinished, is_empty, 0, Payload::None)
                }
            },
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

    async fn read_all(&mut self) -> Result<(), Ended> {
        match self.end {
            None => {}
            Some(ReceiveEnd::Finished) => {
                self.queue.finish();
                return Ok(());
            }
            Some(ReceiveEnd::Reset(code)) => return Err(Ended::Reset(code)),
        }
        let (session, queue) = (self.session.clone(), self.queue.clone());
        let gone = session.ended.cancelled();
        let mut gone = pin!(gone);
        loop {
            if let Some(code) = queue.stopped() {
                // An error means that it has ended already.
                let _done = self.stream.stop(varint(webtransport_code_to_http_code(code)));
                return Err(Ended::Stopped);
            }
            let room = queue.has_room();
            if !room {
                self.tell();
            }
            tokio::select! {
                biased;
                () = &mut gone => break,
                read = poll_fn(|context| self.poll_read(context)), if room => if let ControlFlow::Break(end) = read {
                    return end;
                },
                () = queue.changed.notified() => {}
            }
        }
        // What came before the session's end belongs to the script, as far as there is room for it.
        for _ in 0..AHEAD / BATCH {
            if queue.is_full() {
                break;
            }
            match self.poll_read(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(ControlFlow::Break(end)) => return end,
                Poll::Ready(ControlFlow::Continue(())) => {}
                Poll::Pending => break,
            }
        }
        self.tell();
        // An error means that it has ended already.
        let _done = self.stream.stop(varint(ErrorCode::WT_SESSION_GONE));
        Err(Ended::SessionGone)
    }

    /// Takes chunks from QUIC, or the end. When there is nothing more for now, JavaScript is told of what came before.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<ControlFlow<Result<(), Ended>>> {
        let mut batch: [Bytes; BATCH] = std::array::from_fn(|_| Bytes::new());
        let read = pin!(self.stream.read_chunks(&mut batch)).poll(context);
        let Poll::Ready(read) = read else {
            self.tell();
            return Poll::Pending;
        };
        Poll::Ready(match read {
            Ok(Some(count)) => {
                if let Some(inflow) = &self.queue.inflow {
                    inflow.arrived(batch[..count].iter().map(Bytes::len).sum());
                }
                for chunk in &mut batch[..count] {
                    self.queue.arrived(std::mem::take(chunk));
                }
                self.is_told = false;
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
        })
    }

    /// Tells JavaScript of what has come, if it waits.
    fn tell(&mut self) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        match self.queue.tell() {
            None => {}
            Some(Told::Waiting) => {
                self.port.emit(WebTransportEvent::Readable, 0, 0, Payload::None);
            }
            Some(Told::Bytes(bytes) | Told::Last(bytes)) => {
                self.port.emit(WebTransportEvent::Readable, 0, 0, Payload::Bytes(bytes));
            }
        }
    }
}

/// A stream that ends without JavaScript: its session ended first, or nobody took it.
pub(crate) fn discard(mut half: ReceiveHalf, code: ErrorCode) {
    // An error means that it has ended already.
    let _done = half.stream.stop(varint(code));
}
