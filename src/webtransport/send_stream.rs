//! The door of a `WebTransportSendStream`: <https://www.w3.org/TR/webtransport/#send-stream>.
//!
//! JavaScript puts chunks into a short queue of ours; the stream's task moves them into QUIC as flow control allows.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use quinn::{SendStream, StoppedError, VarInt, WriteError};

use super::credit::{Credit, Slot};
use super::established::{Session, varint};
use super::halves::Command;
use super::http3::error_code::{ErrorCode, http_code_to_webtransport_code, webtransport_code_to_http_code};
use super::http3::flow_control::Unit;
use super::scheduler::Place;
use super::send_queue::{End, Held, Next, SendQueue};
use super::session::{WebTransportEvent, WebTransportSession};
use super::streams::SendHalf;
use super::turnstile::{PIECE, Turn};
use crate::hub::{Payload, Port};

/// The native half of a `WebTransportSendStream`: the methods of its session that take the number of its object.
#[napi]
impl WebTransportSession {
    /// Gives a stream its place among the session's senders: a send group, 0 for the null group, and an order, a whole
    /// number within 64 bits.
    #[napi(catch_unwind)]
    pub fn set_place(&self, id: u32, group: u32, order: f64) {
        // A session that has ended sends nothing.
        if let (Some(queue), Some(session)) = (self.halves.send(id), self.session()) {
            // A float becomes the nearest integer that there is.
            let order = order as i64;
            queue.set_place(Place { group, order }, &session);
        }
    }

    /// Copies a chunk into the stream's queue. False when that is full now: `Writable` says when it no longer is.
    #[napi(catch_unwind)]
    pub fn write(&self, id: u32, chunk: BufferSlice<'_>) -> bool {
        self.halves.send(id).is_none_or(|queue| {
            let room = queue.write(Bytes::copy_from_slice(&chunk));
            self.halves.wrote(queue.news(), chunk.len());
            room
        })
    }

    /// Queues a chunk that is taken as a whole or not at all; `AtomicWritten` says which.
    #[napi(catch_unwind)]
    pub fn write_atomic(&self, id: u32, chunk: BufferSlice<'_>) {
        if let Some(queue) = self.halves.send(id) {
            queue.write_atomic(Bytes::copy_from_slice(&chunk));
            self.halves.wrote(queue.news(), chunk.len());
        }
    }

    /// Gives a stream up with an application's code: RESET_STREAM.
    #[napi(catch_unwind)]
    pub fn reset(&self, id: u32, code: u32) {
        if let Some(queue) = self.halves.send(id) {
            queue.end(End::Reset(code));
            queue.changed.notify_one();
        }
    }

    /// Does what was put off: the first `count` of these commands, and what the other methods left, all at once.
    #[napi(catch_unwind)]
    pub fn flush(&self, commands: BufferSlice<'_>, count: u32) {
        for (command, id) in Command::all(&commands).take(count as usize) {
            match command {
                Command::Finish => {
                    if let Some(queue) = self.halves.send(id) {
                        queue.end(End::Finish);
                        self.halves.wrote(queue.news(), 0);
                    }
                }
                Command::ReleaseSending => self.halves.release_send(id),
                Command::ReleaseReceiving => self.halves.release_receive(id),
                Command::AwaitBytes => self.await_bytes(id),
            }
        }
        self.halves.flush();
    }
}

impl WebTransportSession {
    /// Starts the sending half of a stream, for the object that is registered under `id`.
    pub(crate) fn start_sending(&self, session: &Arc<Session>, half: SendHalf, id: u32) {
        let queue = Arc::new(SendQueue::new(half.header.clone()));
        let port = self.port.beside(id);
        let task = Task {
            header: half.header.len(),
            stream: half.stream,
            _slot: half.slot,
            queue: queue.clone(),
            session: session.clone(),
            port: port.clone(),
            held: Held::default(),
            turn: None,
        };
        self.halves.add_send(id, queue);
        self.run_half(session, port, task.run(), WebTransportEvent::SendEnded);
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
    /// Its place among the peer's streams, where their number is limited.
    _slot: Option<Arc<Slot>>,
    held: Held,
    /// Its place in the line, where turns are taken.
    turn: Option<Turn>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.queue.over(&self.session);
        if let Some(credit) = &self.session.credit {
            credit.leave(id(&self.stream));
        }
        if let Some(turn) = &self.turn {
            self.session.turnstile.leave(turn);
        }
    }
}

fn id(stream: &SendStream) -> u64 {
    VarInt::from(stream.id()).into_inner()
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

impl From<WriteError> for Ended {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code),
            WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::SessionGone,
        }
    }
}

/// What QUIC has taken.
enum Handed {
    Bytes(usize),
    Atomic { taken: Atomic, bytes: usize },
}

/// How much of a chunk QUIC has taken that was to be taken as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Atomic {
    Nothing = 0,
    All = 1,
    Part = 2,
}

/// What QUIC says at the end of a stream.
fn ended(outcome: Result<Option<VarInt>, StoppedError>) -> Result<(), Ended> {
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

    async fn write_all(&mut self) -> Result<(), Ended> {
        let mut stopped = pin!(self.stream.stopped());
        let (session, queue) = (self.session.clone(), self.queue.clone());
        let mut gone = pin!(session.ended.cancelled());
        let mut finished = false;
        loop {
            let writing = match queue.next(&mut self.held) {
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
            if !writing && let Some(turn) = &self.turn {
                session.turnstile.rest(turn);
            }
            tokio::select! {
                biased;
                // Before the session's end: a stream that the peer has whole has not been lost with it.
                // QUIC itself tells of STOP_SENDING at a write, which may wait for the session's limit here.
                outcome = &mut stopped, if !writing || session.credit.is_some() => return ended(outcome),
                () = &mut gone => {
                    let patience = session.patience.get().copied().unwrap_or_default();
                    if finished && let Ok(outcome) = tokio::time::timeout(patience, &mut stopped).await {
                        return ended(outcome);
                    }
                    // An error means that it has ended already.
                    let _done = self.stream.reset(varint(ErrorCode::WT_SESSION_GONE));
                    return Err(Ended::SessionGone);
                }
                // Before the next try: behind it, it would cause another one.
                () = queue.changed.notified() => {}
                handed = poll_fn(|context| self.poll_hand_over(context)), if writing => match handed? {
                    Handed::Bytes(bytes) => {
                        let header = self.header.min(bytes);
                        self.header -= header;
                        session.underlying.sent(bytes - header);
                        if queue.taken(bytes) {
                            self.port.emit(WebTransportEvent::Writable, 0, 0, Payload::None);
                        }
                    }
                    Handed::Atomic { taken, bytes } => {
                        session.underlying.sent(bytes);
                        self.port.emit(WebTransportEvent::AtomicWritten, taken as u32, 0, Payload::None);
                    }
                },
            }
            if self.turn.as_mut().is_some_and(Turn::must_pause) {
                pause().await;
            }
        }
    }

    /// Hands bytes over to QUIC, in turn with the session's other senders where turns are taken.
    fn poll_hand_over(&mut self, context: &mut Context<'_>) -> Poll<Result<Handed, Ended>> {
        let turnstile = &self.session.turnstile;
        if turnstile.is_used() {
            let place = self.queue.place();
            let turn = self
                .turn
                .get_or_insert_with(|| turnstile.enter(place, self.queue.changed.clone()));
            if self.header > 0 {
                turnstile.hasten(turn);
            }
            let (credit, stream, held) = (self.session.credit.as_deref(), &mut self.stream, &mut self.held);
            let header = self.header;
            return turnstile.poll_write(turn, place, || {
                poll_write_within(credit, header, stream, held, PIECE, context)
            });
        }
        if let Some(turn) = self.turn.take() {
            turnstile.leave(&turn);
        }
        let (credit, stream, held) = (self.session.credit.as_deref(), &mut self.stream, &mut self.held);
        poll_write_within(credit, self.header, stream, held, usize::MAX, context).map(|(_, handed)| handed)
    }
}

/// Lets the session's other streams run first that have been woken.
async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The same as [`poll_write`] within the session's limit, if it has one. It does not count the stream's header, of which
/// `header` bytes come first.
fn poll_write_within(
    credit: Option<&Credit>,
    header: usize,
    stream: &mut SendStream,
    held: &mut Held,
    most: usize,
    context: &mut Context<'_>,
) -> Poll<(u64, Result<Handed, Ended>)> {
    let Some(credit) = credit else {
        return poll_write(stream, held, most, context);
    };
    if header > 0 {
        // A chunk of its own.
        return poll_write(stream, held, most.min(header), context);
    }
    let granted = match (&held.atomic, held.batch.front()) {
        (Some(chunk), _) => {
            let length = chunk.len();
            if !credit.spend_whole(length) {
                held.atomic = None;
                let (taken, bytes) = (Atomic::Nothing, 0);
                return Poll::Ready((0, Ok(Handed::Atomic { taken, bytes })));
            }
            length
        }
        (None, Some(front)) => ready!(credit.poll_spend_bytes(id(stream), front.len().min(most), context)),
        (None, None) => return poll_write(stream, held, most, context),
    };
    let written = poll_write(stream, held, granted, context);
    let used = match &written {
        Poll::Ready((used, _)) => usize::try_from(*used).unwrap_or(granted),
        Poll::Pending => 0,
    };
    credit.unspend(Unit::Data, granted - used);
    written
}

/// Hands bytes over to QUIC, `most` unless they are to be taken as a whole. The bytes that it took are counted, also for one that is only
/// taken in part.
fn poll_write(
    stream: &mut SendStream,
    held: &mut Held,
    most: usize,
    context: &mut Context<'_>,
) -> Poll<(u64, Result<Handed, Ended>)> {
    if let Some(chunk) = held.atomic.take() {
        let length = chunk.len();
        let handed = |taken, bytes| (bytes as u64, Ok(Handed::Atomic { taken, bytes }));
        return Poll::Ready(match pin!(stream.write_chunks(&mut [chunk])).poll(context) {
            // Flow control leaves no room at all.
            Poll::Pending => handed(Atomic::Nothing, 0),
            Poll::Ready(Ok(written)) if written.bytes == length => handed(Atomic::All, length),
            Poll::Ready(Ok(written)) => handed(Atomic::Part, written.bytes),
            Poll::Ready(Err(error)) => (0, Err(error.into())),
        });
    }
    let mut cut: Bytes;
    let chunks = match held.batch.front() {
        Some(front) if front.len() > most => {
            cut = front.slice(..most);
            std::slice::from_mut(&mut cut)
        }
        Some(_) if most < usize::MAX => &mut held.batch.make_contiguous()[..1],
        Some(_) | None => held.batch.make_contiguous(),
    };
    let written = ready!(pin!(stream.write_chunks(chunks)).poll(context));
    Poll::Ready(match written {
        Ok(written) => {
            if let Some(front) = held.batch.front_mut()
                && front.len() > most
            {
                front.advance(written.bytes);
            } else {
                held.batch.drain(..written.chunks);
            }
            (written.bytes as u64, Ok(Handed::Bytes(written.bytes)))
        }
        Err(error) => (0, Err(error.into())),
    })
}

/// A stream that opens or ends without JavaScript: its session ended first, or nobody took it.
pub(crate) fn discard(mut half: SendHalf, code: ErrorCode) {
    // An error means that it has ended already.
    let _done = half.stream.reset(varint(code));
}

#[cfg(test)]
mod tests;
