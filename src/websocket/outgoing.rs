//! What waits to be sent on one connection, shared by JavaScript's thread, which adds to it, and the connection's task.
//!
//! The first write of an idle queue is tried at once by the thread that adds; whatever the socket does not take then, and
//! all that is added until that is gone, is gathered by the task into vectored writes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::net::tcp::OwnedWriteHalf;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use super::chunk::{CHUNK, Chunk, Form, consume, slices};
use super::closing::{Closing, GOING_AWAY, close_payload};
use super::frame::{MAX_HEADER, Masks, Role, write_frame};
use super::message::Kind;
use super::shared::Shared;

/// Up to here one thread writes itself; copying more into the socket is the task's work.
const DIRECT: usize = 64 * 1024;
/// What the pings of a keep-alive carry, so that their answers can be told from those to the script's.
pub(crate) const KEEP_ALIVE_PING: &[u8] = b"keep-alive";
/// Pongs that wait at most; of a flood of pings only the latest are answered.
const MAX_PONGS: usize = 16;
/// Who may write to the socket.
enum Writer {
    /// The opening handshake is not done, or the transport has ended: nobody.
    None,
    /// Whoever adds to the queue, which is empty.
    Anyone(Arc<OwnedWriteHalf>),
    /// The task, until the queue is empty.
    Task(Option<Arc<OwnedWriteHalf>>),
}

/// The state under the lock.
pub(crate) struct Queue {
    role: Role,
    chunks: VecDeque<Chunk>,
    writer: Writer,
    /// Messages from this length on are left to the task, which compresses them.
    compressed_from: Option<usize>,
    /// The handshake of Close frames; kept here because both threads move it.
    pub(crate) closing: Closing,
    /// Answers to pings that wait, the latest ones (RFC 6455 section 5.5.3).
    pongs: VecDeque<Vec<u8>>,
    /// The application's bytes that were written by others than the task, in part of what they added.
    unreported: usize,
    /// The application's bytes that were left to the task and are not written yet.
    queued: usize,
    /// More of them than this may not wait when another message is added.
    pub(crate) max_queued: usize,
    /// They did.
    pub(crate) overflowed: bool,
    /// The script gave the connection up: end without a word.
    pub(crate) aborted: bool,
    /// The script takes no more messages for now; kept here so that a close can't be missed behind it.
    pub(crate) paused: bool,
    waker: Option<Waker>,
}

/// A connection's queue and its lock.
pub(crate) struct Outgoing {
    queue: Mutex<Queue>,
}

/// What came of adding to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// The socket has taken all of it.
    Written,
    /// The task will write it.
    Queued,
}

thread_local! {
    static MASKS: RefCell<Masks> = RefCell::new(Masks::new(|block| {
        crate::tls::provider().secure_random.fill(block).expect("the system has random bytes");
    }));
}

/// The mask of a frame from this end.
pub(crate) fn mask(role: Role) -> Option<[u8; 4]> {
    match role {
        Role::Client => Some(MASKS.with_borrow_mut(Masks::next)),
        Role::Server => None,
    }
}

impl Outgoing {
    /// The queue of a connection that is being made.
    pub(crate) fn new(role: Role) -> Self {
        let queue = Queue {
            role,
            chunks: VecDeque::new(),
            writer: Writer::None,
            compressed_from: None,
            closing: Closing::new(),
            pongs: VecDeque::new(),
            unreported: 0,
            queued: 0,
            max_queued: usize::MAX,
            overflowed: false,
            aborted: false,
            paused: false,
            waker: None,
        };
        Self {
            queue: Mutex::new(queue),
        }
    }

    /// The lock is never held across an await, and a panic under it is a defect that ends the connection anyway.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds messages, each with its kind; `size` is about how long they are together.
    pub(crate) fn send<'a>(&self, messages: impl Iterator<Item = (Kind, &'a [u8])>, size: usize) -> Added {
        let mut queue = self.lock();
        let mut added = 0;
        if queue.takes_data() {
            for (kind, data) in messages {
                added += data.len();
                if queue.compressed_from.is_some_and(|length| data.len() >= length) {
                    queue.add_message(kind, data, size);
                } else {
                    queue.add(OpCode::Data(kind.into()), data, data.len(), size);
                }
            }
        }
        let passed = queue.pass_on();
        if passed == Added::Queued {
            queue.queued += added;
        }
        passed
    }

    /// Adds a message that is not to be compressed.
    pub(crate) fn send_uncompressed(&self, kind: Kind, data: &[u8]) -> Added {
        let mut queue = self.lock();
        if !queue.takes_data() {
            return Added::Written;
        }
        queue.add(OpCode::Data(kind.into()), data, data.len(), 0);
        let passed = queue.pass_on();
        if passed == Added::Queued {
            queue.queued += data.len();
        }
        passed
    }

    /// Whether a message of this length is compressed.
    pub(crate) fn compresses(&self, length: usize) -> bool {
        self.lock().compressed_from.is_some_and(|from| length >= from)
    }

    /// Adds a message that many connections get compressed.
    pub(crate) fn send_shared(&self, shared: &Arc<Shared>) -> Added {
        let mut queue = self.lock();
        if !queue.takes_data() {
            return Added::Written;
        }
        let mut chunk = Chunk::with_capacity(Form::Shared(shared.clone()), 0);
        chunk.application = shared.length();
        queue.queued += chunk.application;
        queue.chunks.push_back(chunk);
        queue.leave_to_task();
        Added::Queued
    }

    /// Adds a frame that many connections get; `application` is how much of it is the application's data.
    pub(crate) fn send_frame(&self, frame: &[u8], application: usize) -> Added {
        let mut queue = self.lock();
        if !queue.takes_data() {
            return Added::Written;
        }
        // An error comes again when the task reads or writes.
        let written = match &queue.writer {
            Writer::Anyone(stream) if frame.len() <= DIRECT => stream.try_write(frame).unwrap_or(0),
            Writer::Anyone(_) | Writer::Task(_) | Writer::None => 0,
        };
        if written == frame.len() {
            return Added::Written;
        }
        let chunk = queue.room(Form::Frames, frame.len(), 0);
        chunk.bytes.extend_from_slice(frame);
        chunk.application += application;
        queue.queued += application;
        if written > 0 {
            // It was alone in the queue.
            let gone = consume(&mut queue.chunks, written);
            queue.unreported += gone;
        }
        queue.leave_to_task();
        Added::Queued
    }

    /// Adds a ping, or a pong that answers none.
    pub(crate) fn control(&self, control: Control, data: &[u8]) {
        let mut queue = self.lock();
        if queue.takes_data() {
            queue.add(OpCode::Control(control), data, 0, 0);
            queue.pass_on();
        }
    }

    /// The task reads no more messages from the socket until `resume` or the script's close.
    pub(crate) fn pause(&self) {
        let mut queue = self.lock();
        queue.paused = queue.closing.is_open();
    }

    /// Reads on after `pause`.
    pub(crate) fn resume(&self) {
        let mut queue = self.lock();
        queue.paused = false;
        queue.wake();
    }

    /// The script closes.
    pub(crate) fn close(&self, code: Option<u16>, reason: &str) {
        let mut queue = self.lock();
        queue.paused = false;
        if queue.closing.start() {
            queue.add(OpCode::Control(Control::Close), &close_payload(code, reason), 0, 0);
            // Even when the socket takes it at once: the task watches over what follows.
            queue.leave_to_task();
        }
    }

    /// The script has heard all that came before the peer's Close frame or a failure: now it is answered.
    pub(crate) fn acknowledge(&self) {
        let mut queue = self.lock();
        if let Some(body) = queue.closing.acknowledge() {
            queue.add(OpCode::Control(Control::Close), &body, 0, 0);
            queue.leave_to_task();
        }
    }

    /// The script has dropped the connection.
    pub(crate) fn abandon(&self) {
        let connecting = matches!(self.lock().writer, Writer::None);
        if connecting {
            self.abort();
        } else {
            self.close(Some(GOING_AWAY), "");
            self.acknowledge();
        }
    }

    /// The connection ends without a Close frame.
    pub(crate) fn abort(&self) {
        let mut queue = self.lock();
        queue.aborted = true;
        queue.leave_to_task();
    }
}

impl Queue {
    fn add(&mut self, opcode: OpCode, payload: &[u8], application: usize, more: usize) {
        let mask = mask(self.role);
        let chunk = self.room(Form::Frames, payload.len() + MAX_HEADER, more);
        write_frame(&mut chunk.bytes, opcode, mask, payload);
        chunk.application += application;
    }

    fn add_message(&mut self, kind: Kind, data: &[u8], more: usize) {
        self.room(Form::Messages, data.len() + MAX_HEADER, more)
            .add_message(kind, data);
    }

    /// The chunk that takes the next `length` bytes; `more` may follow.
    fn room(&mut self, form: Form, length: usize, more: usize) -> &mut Chunk {
        if !self.chunks.back().is_some_and(|last| last.has_room(&form, length)) {
            let capacity = length + more.min(CHUNK.saturating_sub(length));
            self.chunks.push_back(Chunk::with_capacity(form, capacity));
        }
        self.chunks.back_mut().expect("one is there")
    }

    /// Whether another message may be added; when too much waits already, the connection is given up.
    fn takes_data(&mut self) -> bool {
        if self.queued > self.max_queued && self.closing.takes_data() {
            self.overflowed = true;
            self.aborted = true;
            self.wake();
        }
        !self.aborted && self.closing.takes_data()
    }

    /// So many bytes of the application's, which were left to the task, are written.
    pub(crate) fn gone(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
    }

    /// Adds a ping of the task's own, which is to write it.
    pub(crate) fn ask(&mut self, data: &[u8]) {
        if self.closing.is_open() {
            self.add(OpCode::Control(Control::Ping), data, 0, 0);
            self.hold();
        }
    }

    /// Tries to write what was added to an empty queue, or leaves it to the task.
    fn pass_on(&mut self) -> Added {
        if let Writer::Anyone(stream) = &self.writer
            && self.chunks.iter().all(Chunk::is_frames)
        {
            let total: usize = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
            if total <= DIRECT {
                let (slices, count) = slices(&self.chunks);
                // An error comes again when the task reads or writes.
                let written = stream.try_write_vectored(&slices[..count]).unwrap_or(0);
                if written == total {
                    self.chunks.clear();
                    return Added::Written;
                }
                self.unreported += consume(&mut self.chunks, written);
            }
        }
        self.leave_to_task();
        Added::Queued
    }

    /// Gives the queue to the task and wakes it.
    fn leave_to_task(&mut self) {
        self.writer = match std::mem::replace(&mut self.writer, Writer::None) {
            Writer::Anyone(stream) => Writer::Task(Some(stream)),
            writer @ (Writer::Task(_) | Writer::None) => writer,
        };
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The opening handshake is done: the task may write, and what it lets others write goes to `direct`.
    /// Messages from the length `compressed_from` on are left to be compressed.
    pub(crate) fn open(&mut self, direct: Option<Arc<OwnedWriteHalf>>, compressed_from: Option<usize>) {
        self.writer = Writer::Task(direct);
        self.compressed_from = compressed_from;
    }

    /// The transport has ended: nothing is written any more.
    pub(crate) fn end(&mut self) {
        self.writer = Writer::None;
        self.chunks.clear();
        self.waker = None;
    }

    /// Moves all that waits to the task's `writing`, and remembers whom to wake when more comes. If nothing waits at
    /// all, the next one to add may write. Returns the application's bytes that others wrote without a report.
    pub(crate) fn take(&mut self, writing: &mut VecDeque<Chunk>, waker: &Waker) -> usize {
        // Only when all else is written, so that a peer that pings and never reads has few pongs waiting; but before what
        // was added meanwhile, which may answer what came behind the pings.
        if writing.is_empty() && !self.pongs.is_empty() {
            let chunks = std::mem::take(&mut self.chunks);
            for data in std::mem::take(&mut self.pongs) {
                self.add(OpCode::Control(Control::Pong), &data, 0, 0);
            }
            self.chunks.extend(chunks);
        }
        writing.append(&mut self.chunks);
        if writing.is_empty() {
            self.writer = match std::mem::replace(&mut self.writer, Writer::None) {
                Writer::Task(Some(stream)) if self.closing.is_open() => Writer::Anyone(stream),
                writer @ (Writer::Task(_) | Writer::Anyone(_) | Writer::None) => writer,
            };
        }
        self.wake_later(waker);
        std::mem::take(&mut self.unreported)
    }

    /// Remembers whom to wake when there is something to do; says whether the script has given the connection up.
    pub(crate) fn wake_later(&mut self, waker: &Waker) -> bool {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        self.aborted
    }

    /// Whether there is something for an idle task to write.
    pub(crate) fn waits(&self) -> bool {
        !self.pongs.is_empty() || !self.chunks.is_empty()
    }

    /// The peer's ping: its answer takes the place of the oldest one when too many wait.
    pub(crate) fn answer_ping(&mut self, data: &[u8]) {
        if self.closing.is_open() {
            if self.pongs.len() == MAX_PONGS {
                self.pongs.pop_front();
            }
            self.pongs.push_back(data.to_vec());
            self.hold();
        }
    }

    /// Takes the right to write back from other threads; for the task itself, which goes on to write.
    fn hold(&mut self) {
        self.writer = match std::mem::replace(&mut self.writer, Writer::None) {
            Writer::Anyone(stream) => Writer::Task(Some(stream)),
            writer @ (Writer::Task(_) | Writer::None) => writer,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_share_a_chunk_and_a_large_one_has_its_own() {
        let outgoing = Outgoing::new(Role::Server);
        let (small, large) = (vec![1; 100], vec![2; CHUNK]);
        let messages = [&small, &small, &large, &small].map(|data| (Kind::Binary, data.as_slice()));
        assert_eq!(outgoing.send(messages.into_iter(), 0), Added::Queued);
        let mut writing = VecDeque::new();
        outgoing.lock().take(&mut writing, Waker::noop());
        let sizes: Vec<usize> = writing.iter().map(|chunk| chunk.bytes.len()).collect();
        assert_eq!(sizes, [204, CHUNK + 10, 102]);
        assert_eq!(consume(&mut writing, sizes.iter().sum()), 300 + CHUNK);
    }

    #[test]
    fn of_a_flood_of_pings_the_latest_are_answered() {
        let outgoing = Outgoing::new(Role::Server);
        let mut queue = outgoing.lock();
        for number in 0..100 {
            queue.answer_ping(&[number]);
        }
        let mut writing = VecDeque::new();
        queue.take(&mut writing, Waker::noop());
        let expected: Vec<u8> = (84..100).flat_map(|number| [0x8a, 1, number]).collect();
        assert_eq!(writing.len(), 1);
        assert_eq!(*writing[0].bytes, expected);
        queue.answer_ping(b"later");
        queue.take(&mut writing, Waker::noop());
        assert_eq!(writing.len(), 1, "pongs wait for what is not written");
    }

    #[test]
    fn nothing_follows_a_close_frame() {
        let outgoing = Outgoing::new(Role::Server);
        outgoing.close(Some(1000), "");
        outgoing.close(Some(1001), "");
        outgoing.send([(Kind::Text, &b"late"[..])].into_iter(), 0);
        outgoing.control(Control::Ping, b"late");
        outgoing.lock().answer_ping(b"late");
        let mut writing = VecDeque::new();
        outgoing.lock().take(&mut writing, Waker::noop());
        assert_eq!(writing.len(), 1);
        assert_eq!(*writing[0].bytes, b"\x88\x02\x03\xe8");
    }
}
