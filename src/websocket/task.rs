//! One task owns each open connection: socket → messages → hub, and the send queue → socket, until the closing
//! handshake or a failure ends it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, Sleep, sleep};

use super::cause::{Cause, Phase};
use super::chunk::Chunk;
use super::closing::{ABNORMAL, Ended};
use super::compression::Compression;
use super::connection::WebSocketEvent;
use super::deflate::Deflate;
use super::frame::Role;
use super::message::{Failure, MessageReader};
use super::outgoing::Outgoing;
use super::transport::Transport;
use crate::hub::{Payload, Port, Wake};
use crate::runtime;

mod keep_alive;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub(crate) use keep_alive::KeepAlive;
use keep_alive::Pulse;
use reading::Read;

/// How long the peer has to end the transport after both Close frames, or to take our last words.
const LINGER: Duration = Duration::from_secs(2);

/// What the door and the task of one connection share.
pub(crate) struct Link {
    /// The send queue and the closing handshake.
    pub(crate) outgoing: Outgoing,
}

impl Link {
    /// Of a connection that is being made.
    pub(crate) fn new(role: Role) -> Arc<Self> {
        Arc::new(Self {
            outgoing: Outgoing::new(role),
        })
    }

    /// Resolves when the script gives the connection up while it is being made. Cancel safe.
    pub(crate) async fn aborted(&self) {
        poll_fn(|cx| {
            if self.outgoing.lock().wake_later(cx.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Resolves when the script takes more, while the connection is being made. Cancel safe.
    pub(crate) async fn resumed(&self) {
        poll_fn(|cx| {
            let mut queue = self.outgoing.lock();
            queue.wake_later(cx.waker());
            if queue.paused { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// Limits and times of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a message from the peer.
    pub(crate) max_message_size: usize,
    /// How long the closing handshake may stand still.
    pub(crate) close_timeout: Duration,
    /// Whether pings are answered without the script.
    pub(crate) auto_pong: bool,
    /// Whether the script hears messages behind its own close.
    pub(crate) hears_until_close: bool,
    /// Bytes of messages that may wait for the peer when another one is sent.
    pub(crate) max_queued: usize,
    /// Whether and how a peer that is gone is looked for.
    pub(crate) keep_alive: Option<KeepAlive>,
}

/// How an object's life is told to its script: the terminal event.
pub(crate) fn emit_closed(port: &Arc<Port>, ended: &Ended, failed: Failed) {
    let clean = u32::from(ended.was_clean);
    let flags = clean | if failed == Failed::Yes { 2 } else { 0 };
    port.emit_terminal(
        WebSocketEvent::Closed,
        u32::from(ended.code),
        flags,
        Payload::Text(&ended.reason),
    );
}

/// The terminal event of a connection that fails, and why, for the operator.
pub(crate) fn emit_failed(port: &Arc<Port>, cause: &Cause) {
    port.emit(
        WebSocketEvent::Failed,
        cause.number.into(),
        0,
        Payload::Text(&cause.to_text()),
    );
    let ended = Ended {
        was_clean: false,
        code: ABNORMAL,
        reason: String::new(),
    };
    emit_closed(port, &ended, Failed::Yes);
}

/// Whether the script gets an error event before the close event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    Yes,
    No,
}

/// How far the connection's end is.
///
/// ```text
///  Open ──a Close frame, either way──▶ Closing ──both written──▶ Waiting ──transport ends──▶ done
///    └────────────── failure ──────────────┴──▶ Failing ──last words written, transport ends──▶ done
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Data goes both ways.
    Open,
    /// One Close frame or both are queued, sent or received.
    Closing,
    /// Both are through: only the end of the transport is awaited.
    Waiting,
    /// The script knows already; the peer is being told.
    Failing,
}

/// Others have their turn, and the sockets are looked at: a task that only wakes itself goes on 61 times before a thread of
/// tokio does that.
fn yield_turn(cx: &mut Context<'_>) {
    // It wakes this task whether it is polled again or not.
    let _pending = pin!(tokio::task::yield_now()).poll(cx);
}

/// The task's state.
pub(crate) struct Driver {
    transport: Transport,
    link: Arc<Link>,
    port: Arc<Port>,
    role: Role,
    limits: Limits,
    reader: MessageReader,
    /// Read but not used: the beginning of a frame, or more after a pause.
    tail: BytesMut,
    /// The reader left the tail for the next turn.
    interrupted: bool,
    /// Where permessage-deflate is agreed.
    compression: Option<Box<Compression>>,
    compressed_from: Option<usize>,
    writing: VecDeque<Chunk>,
    /// The peer takes no more bytes.
    write_broken: bool,
    shut_down: bool,
    after_long: bool,
    /// The peer sends no more.
    read_ended: bool,
    /// Why, if it was no proper end.
    read_error: Option<io::Error>,
    /// The script takes no more messages for now.
    paused: bool,
    stage: Stage,
    deadline: Option<Pin<Box<Sleep>>>,
    room: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pulse: Option<Pulse>,
}

impl Drop for Driver {
    /// However the task ends: nothing else may hold the socket.
    fn drop(&mut self) {
        self.link.outgoing.lock().end();
    }
}

impl Driver {
    /// For a connection whose opening handshake is done; `tail` came behind it. `deflate` is what was agreed.
    pub(crate) fn new(
        transport: Transport,
        tail: Vec<u8>,
        role: Role,
        deflate: Option<Deflate>,
        limits: Limits,
        link: Arc<Link>,
        port: Arc<Port>,
    ) -> Self {
        let inflater = deflate.map(|deflate| deflate.inflater(role));
        let reader = MessageReader::new(role, limits.max_message_size).with_inflater(inflater);
        Self {
            transport,
            link,
            port,
            role,
            limits,
            reader,
            tail: tail.as_slice().into(),
            interrupted: false,
            compression: deflate.map(|deflate| Box::new(Compression::new(role, deflate.deflater(role)))),
            compressed_from: deflate.map(|deflate| deflate.threshold),
            writing: VecDeque::new(),
            write_broken: false,
            shut_down: false,
            after_long: false,
            read_ended: false,
            read_error: None,
            paused: false,
            stage: Stage::Open,
            deadline: None,
            room: None,
            pulse: limits.keep_alive.map(Pulse::new),
        }
    }

    /// Tells the script that the opening handshake is done, and what was agreed; then serves the connection to its end.
    /// A script that hears of it may send at once: by then everything for it stands ready.
    pub(crate) fn open(self, protocol: &str, extensions: &str, wake: Wake) -> impl Future<Output = ()> + use<> {
        let mut queue = self.link.outgoing.lock();
        queue.max_queued = self.limits.max_queued;
        queue.open(self.transport.direct(), self.compressed_from);
        drop(queue);
        let agreed = [protocol, extensions].join("\0");
        self.port
            .emit_by(wake, WebSocketEvent::Open, 0, 0, Payload::Text(&agreed));
        self.run()
    }

    async fn run(mut self) {
        let mut first = std::mem::take(&mut self.tail);
        if !first.is_empty() {
            let done = self.parse(&mut first);
            self.fail_if(done);
        }
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.link.outgoing.lock();
        let aborted = queue.wake_later(cx.waker());
        self.paused = queue.paused;
        drop(queue);
        if aborted {
            self.given_up();
            return Poll::Ready(());
        }
        let written = loop {
            let written = self.write(cx);
            if !self.read_ended {
                match self.read(cx) {
                    Read::Ended(error) => {
                        self.read_ended = true;
                        self.read_error = error;
                    }
                    Read::Yield => yield_turn(cx),
                    Read::Pending => {}
                }
            }
            // Reading may have left pongs to write.
            if written.is_pending() || self.write_broken || !self.link.outgoing.lock().waits() {
                break written;
            }
        };
        self.follow_closing(cx);
        // Behind the reading: what came while this task slept counts.
        if self.peer_is_dead(cx) {
            emit_failed(&self.port, &Cause::dead_peer());
            return Poll::Ready(());
        }
        if self.read_ended && !self.has_last_words(written) {
            return self.transport_ended();
        }
        if self
            .deadline
            .as_mut()
            .is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
        {
            return self.transport_ended();
        }
        Poll::Pending
    }

    /// Whether the peer, which sends no more, is still to get our Close frame. `written` is what the last write was: a stream
    /// that has taken all may hold it back.
    fn has_last_words(&self, written: Poll<()>) -> bool {
        let queue = self.link.outgoing.lock();
        let unwritten = written.is_pending() || queue.waits();
        queue.closing.awaits_script() || (queue.closing.is_answering() && unwritten && !self.write_broken)
    }

    /// Moves the stage as far as the closing handshake is.
    fn follow_closing(&mut self, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Open | Stage::Closing) {
            let queue = self.link.outgoing.lock();
            let (open, complete) = (queue.closing.is_open(), queue.closing.is_complete());
            drop(queue);
            if complete {
                self.stage = Stage::Waiting;
                self.set_deadline(LINGER);
            } else if !open && self.stage == Stage::Open {
                self.stage = Stage::Closing;
                self.set_deadline(self.limits.close_timeout);
            }
        }
        // The server ends the transport first (RFC 6455 section 7.1.1), and so does who fails.
        let ends = match self.stage {
            Stage::Open | Stage::Closing => false,
            Stage::Waiting => self.role == Role::Server,
            Stage::Failing => {
                let queue = self.link.outgoing.lock();
                // The script may have acknowledged just now, behind what was written.
                self.writing.is_empty() && !queue.waits() && !queue.closing.awaits_script()
            }
        };
        if ends && !self.shut_down {
            // If the peer has ended it already, there is nothing to end.
            self.shut_down = self.transport.poll_shutdown(cx).is_ready();
        }
    }

    fn set_deadline(&mut self, after: Duration) {
        runtime::beat();
        let at = Instant::now() + after;
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().reset(at),
            None => self.deadline = Some(Box::pin(sleep(after))),
        }
    }

    fn fail_if(&mut self, done: Result<(), Failure>) {
        let Err(failure) = done else { return };
        // What has come of a message is given up at once.
        self.reader = MessageReader::new(self.role, 0);
        self.interrupted = false;
        self.tail.clear();
        self.link.outgoing.lock().closing.fail(failure);
        self.stage = Stage::Failing;
        self.set_deadline(LINGER);
        emit_failed(&self.port, &failure.into());
    }

    /// Ends without a word to the peer: the script wants it so, or the peer has let too much wait.
    fn given_up(&self) {
        if self.link.outgoing.lock().overflowed {
            emit_failed(&self.port, &Cause::slow_peer());
            return;
        }
        let ended = Ended {
            was_clean: false,
            code: ABNORMAL,
            reason: String::new(),
        };
        emit_closed(&self.port, &ended, Failed::No);
    }

    /// Tells the script how it ended, unless a failure has done so.
    fn transport_ended(&mut self) -> Poll<()> {
        let closing = self.link.outgoing.lock().closing.clone();
        if closing.is_open() {
            emit_failed(&self.port, &Cause::read(Phase::Transport, self.read_error.as_ref()));
        } else {
            emit_closed(&self.port, &closing.ended(), Failed::No);
        }
        Poll::Ready(())
    }
}
