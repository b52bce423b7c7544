//! The halves of a session's streams that JavaScript has, by their numbers in the hub: a native object for each would cost more
//! than all that a small stream does. Only JavaScript's thread comes here.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::direct;
use super::driver::Running;
use super::established::Session;
use super::receive_queue::ReceiveQueue;
use super::send_queue::SendQueue;
use crate::hub::Port;

/// From so many on what was put off is done at once.
const MANY: usize = 32;
/// Up to so much, what is done for it on the network is done by JavaScript's thread itself: to begin one stream, to write a
/// short message to it and to end it, which is one thing for each half. With more of it the network's threads work beside JavaScript's.
const FEW: usize = 2;
const FEW_BYTES: usize = 4096;

/// What is put off until the script that is running is done, so that the network's threads are woken once.
pub(crate) enum Later {
    /// Starts to run a stream of the session.
    Start {
        session: Arc<Session>,
        port: Arc<Port>,
        stream: Running,
    },
    /// Tells one that something has changed.
    Tell(Arc<Notify>),
}

impl Later {
    fn run(self) {
        match self {
            Self::Start { session, port, stream } => session.run_stream(&port, stream),
            Self::Tell(changed) => changed.notify_one(),
        }
    }
}

/// What JavaScript asks for without an answer at once; the same numbers stand in `web/webtransport/halves.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Ends a stream after what was written; `Finished` says when the peer has all.
    Finish,
    /// JavaScript's object of the sending half has ended or been collected.
    ReleaseSending,
    /// JavaScript's object of the receiving half has ended or been collected.
    ReleaseReceiving,
    /// `Readable` is to say when there are bytes.
    AwaitBytes,
}

impl Command {
    /// The commands in `words`, two words of this machine each: which one, and the half's number.
    pub(crate) fn all(words: &[u8]) -> impl Iterator<Item = (Self, u32)> {
        let (pairs, _rest) = words.as_chunks::<8>();
        pairs.iter().filter_map(|pair| {
            let (words, _rest) = pair.as_chunks::<4>();
            let &[command, id] = words else { return None };
            let command = match u32::from_ne_bytes(command) {
                1 => Self::Finish,
                2 => Self::ReleaseSending,
                3 => Self::ReleaseReceiving,
                4 => Self::AwaitBytes,
                _ => return None,
            };
            Some((command, u32::from_ne_bytes(id)))
        })
    }
}

/// For numbers that the hub gives: no peer chooses them.
#[derive(Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(byte.into()));
    }

    fn write_u32(&mut self, id: u32) {
        // Numbers in a row are to differ in the high bits too, of which the map makes use.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type ByNumber<Queue> = HashMap<u32, Arc<Queue>, BuildHasherDefault<ById>>;

/// The halves that JavaScript has.
#[derive(Default)]
pub(crate) struct Halves {
    sending: Mutex<ByNumber<SendQueue>>,
    receiving: Mutex<ByNumber<ReceiveQueue>>,
    later: Mutex<PutOff>,
}

#[derive(Default)]
struct PutOff {
    what: Vec<Later>,
    /// What has been written to the streams that are to be told.
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Halves {
    /// Enters a half that is written.
    pub(crate) fn add_send(&self, id: u32, queue: Arc<SendQueue>) {
        lock(&self.sending).insert(id, queue);
    }

    /// Enters a half that is read.
    pub(crate) fn add_receive(&self, id: u32, queue: Arc<ReceiveQueue>) {
        lock(&self.receiving).insert(id, queue);
    }

    /// What a script writes to.
    pub(crate) fn send(&self, id: u32) -> Option<Arc<SendQueue>> {
        lock(&self.sending).get(&id).cloned()
    }

    /// What a script reads from.
    pub(crate) fn receive(&self, id: u32) -> Option<Arc<ReceiveQueue>> {
        lock(&self.receiving).get(&id).cloned()
    }

    /// JavaScript has no more to do with the half. One that is still open is given up: nobody can write the rest.
    pub(crate) fn release_send(&self, id: u32) {
        if let Some(queue) = lock(&self.sending).remove(&id) {
            queue.abandon();
        }
    }

    /// JavaScript has no more to do with the half. One that is still open is stopped: nobody reads the rest.
    pub(crate) fn release_receive(&self, id: u32) {
        if let Some(queue) = lock(&self.receiving).remove(&id) {
            queue.stop(0);
        }
    }

    /// Puts something off until [`Halves::flush`].
    pub(crate) fn later(&self, what: Later) {
        self.wrote(Some(what), 0);
    }

    /// So many bytes have been written, and what is to be done about it is put off.
    pub(crate) fn wrote(&self, what: Option<Later>, bytes: usize) {
        let mut later = lock(&self.later);
        later.what.extend(what);
        later.bytes += bytes;
        if later.what.len() >= MANY {
            drop(later);
            self.flush();
        }
    }

    /// Does what was put off.
    pub(crate) fn flush(&self) {
        let mut later = lock(&self.later);
        let bytes = std::mem::take(&mut later.bytes);
        let is_little = later.what.len() <= FEW && bytes <= FEW_BYTES;
        let mut work = || later.what.drain(..).for_each(Later::run);
        if is_little { direct::run(work) } else { work() }
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        self.flush();
        let keys: Vec<_> = lock(&self.sending).keys().copied().collect();
        keys.into_iter().for_each(|key| self.release_send(key));
        let keys: Vec<_> = lock(&self.receiving).keys().copied().collect();
        keys.into_iter().for_each(|key| self.release_receive(key));
    }
}
