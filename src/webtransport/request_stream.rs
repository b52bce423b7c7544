//! The door of a plain HTTP/3 request: its content on the way up, its answer on the way down.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-4.1>
//!
//! Both ways a short queue of ours stands between JavaScript and QUIC. What the script does not read stays in QUIC, whose
//! flow control stops the client; what the client does not take stays with the script, whose `write` says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::client::fields;
use super::http3::connect::ConnectResponse;
use super::http3::frame;
use crate::hub::Port;

/// Bytes of content that a request holds before JavaScript has asked for them, and bytes of an answer before QUIC has
/// taken them. A client has so much for each of its streams at once.
const AHEAD: usize = 64 * 1024;
/// When a script that waits is told to write on.
const LOW: usize = AHEAD / 2;

/// The native half of a plain HTTP/3 request.
#[napi]
pub struct WebTransportRequestStream {
    exchange: Arc<Exchange>,
}

impl WebTransportRequestStream {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }
}

#[napi]
impl WebTransportRequestStream {
    /// How many bytes of content are there to take; 0 when none are yet, and `Readable` will say when; −1 when all have
    /// been taken and the client has finished.
    #[napi(catch_unwind)]
    pub fn available(&self) -> f64 {
        self.exchange.available()
    }

    /// Copies bytes into `target` and says how many.
    #[napi(catch_unwind)]
    pub fn read(&self, mut target: BufferSlice<'_>) -> f64 {
        self.exchange.read(&mut target) as f64
    }

    /// Nobody wants the content, or the rest of it.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.exchange.stop();
    }

    /// Begins the answer. Headers that HTTP/3 has no use for are left out.
    #[napi(catch_unwind)]
    pub fn respond(&self, status: u16, headers: Vec<String>) {
        let response = ConnectResponse {
            status,
            protocol: None,
            headers: fields(&headers),
        };
        self.exchange.begin(frame::headers(&response.encode_plain()).into());
    }

    /// Copies a piece of the answer's content into the queue. False when the queue is full now: `Writable` says when it no
    /// longer is.
    #[napi(catch_unwind)]
    pub fn write(&self, chunk: BufferSlice<'_>) -> bool {
        self.exchange.write(&chunk)
    }

    /// Ends the answer after what was written.
    #[napi(catch_unwind)]
    pub fn finish(&self) {
        self.exchange.finish();
    }

    /// Gives the answer up: the client sees that it is not whole.
    #[napi(catch_unwind)]
    pub fn reset(&self) {
        self.exchange.given_up.cancel();
    }
}

impl Drop for WebTransportRequestStream {
    fn drop(&mut self) {
        // Nobody is left to answer; after the answer's end this changes nothing.
        if !self.exchange.outgoing().finished {
            self.exchange.given_up.cancel();
        }
    }
}

#[derive(Default)]
struct Incoming {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The client has finished; what is in the queue is the rest.
    finished: bool,
    /// JavaScript waits for bytes.
    awaited: bool,
    /// Nobody wants them.
    stopped: bool,
}

#[derive(Default)]
struct Outgoing {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// JavaScript waits for room.
    awaited: bool,
    /// There is an answer.
    begun: bool,
    /// Nothing follows what is in the queue.
    finished: bool,
}

/// What is to be sent next.
pub(super) enum Next {
    /// These pieces.
    Write(Vec<Bytes>),
    /// The end.
    Finish,
}

/// Whether JavaScript has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Now,
    No,
}

/// What the door and the task of a request share.
#[derive(Default)]
pub(super) struct Exchange {
    incoming: Mutex<Incoming>,
    /// There is room for content.
    taken: Notify,
    outgoing: Mutex<Outgoing>,
    /// There is more to send.
    written: Notify,
    /// Cancelled when the script has given its answer up.
    pub(super) given_up: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        lock(&self.incoming)
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        lock(&self.outgoing)
    }

    fn available(&self) -> f64 {
        let mut incoming = self.incoming();
        if incoming.bytes > 0 {
            return incoming.bytes as f64;
        }
        if incoming.finished {
            return -1.0;
        }
        incoming.awaited = true;
        0.0
    }

    fn read(&self, mut target: &mut [u8]) -> usize {
        let mut incoming = self.incoming();
        let before = incoming.bytes;
        while !target.is_empty()
            && let Some(chunk) = incoming.chunks.front_mut()
        {
            let length = chunk.len().min(target.len());
            let (now, later) = target.split_at_mut(length);
            chunk.copy_to_slice(now);
            target = later;
            if chunk.is_empty() {
                incoming.chunks.pop_front();
            }
            incoming.bytes -= length;
        }
        if before >= AHEAD && incoming.bytes < AHEAD {
            self.taken.notify_one();
        }
        before - incoming.bytes
    }

    fn stop(&self) {
        let mut incoming = self.incoming();
        incoming.stopped = true;
        incoming.chunks.clear();
        incoming.bytes = 0;
        self.taken.notify_one();
    }

    /// Takes a piece of content; what nobody wants is dropped.
    pub(super) fn arrived(&self, chunk: Bytes) -> Tell {
        let mut incoming = self.incoming();
        if chunk.is_empty() || incoming.stopped {
            return Tell::No;
        }
        incoming.bytes += chunk.len();
        incoming.chunks.push_back(chunk);
        if std::mem::take(&mut incoming.awaited) {
            Tell::Now
        } else {
            Tell::No
        }
    }

    /// The content is whole.
    pub(super) fn finished_reading(&self) -> Tell {
        let mut incoming = self.incoming();
        incoming.finished = true;
        if std::mem::take(&mut incoming.awaited) {
            Tell::Now
        } else {
            Tell::No
        }
    }

    /// Whether there is no content to take now.
    pub(super) fn is_empty(&self) -> bool {
        self.incoming().bytes == 0
    }

    /// Whether all of the content has come.
    pub(super) fn is_read(&self) -> bool {
        self.incoming().finished
    }

    /// Waits until there is room for content. Cancel safe.
    pub(super) async fn room(&self) {
        while self.incoming().bytes >= AHEAD {
            self.taken.notified().await;
        }
    }

    fn begin(&self, headers: Bytes) {
        let mut outgoing = self.outgoing();
        if !std::mem::replace(&mut outgoing.begun, true) {
            outgoing.bytes += headers.len();
            outgoing.frames.push_back(headers);
            self.written.notify_one();
        }
    }

    fn write(&self, chunk: &[u8]) -> bool {
        let mut outgoing = self.outgoing();
        if !chunk.is_empty() && !outgoing.finished {
            let frame = Bytes::from(frame::data(chunk));
            outgoing.bytes += frame.len();
            outgoing.frames.push_back(frame);
            self.written.notify_one();
        }
        outgoing.awaited = outgoing.bytes > AHEAD;
        !outgoing.awaited
    }

    fn finish(&self) {
        self.outgoing().finished = true;
        self.written.notify_one();
    }

    /// Waits for something to send. Cancel safe.
    pub(super) async fn next(&self) -> Next {
        loop {
            {
                let mut outgoing = self.outgoing();
                if !outgoing.frames.is_empty() {
                    return Next::Write(outgoing.frames.drain(..).collect());
                }
                if outgoing.finished {
                    return Next::Finish;
                }
            }
            self.written.notified().await;
        }
    }

    /// QUIC has taken so many bytes.
    pub(super) fn sent(&self, bytes: usize) -> Tell {
        let mut outgoing = self.outgoing();
        outgoing.bytes -= bytes;
        if outgoing.bytes <= LOW && std::mem::take(&mut outgoing.awaited) {
            Tell::Now
        } else {
            Tell::No
        }
    }
}

/// A request that JavaScript is about to take.
pub(super) struct Offer {
    pub(super) exchange: Arc<Exchange>,
    /// Told the way up of the object that JavaScript has made.
    pub(super) taken: tokio::sync::oneshot::Sender<Arc<Port>>,
}
