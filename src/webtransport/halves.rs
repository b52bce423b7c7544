//! The halves of a session's streams that JavaScript has, by the stream's key: a native object for each would cost more
//! than all that a small stream does. Only JavaScript's thread comes here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::direct;
use super::receive_queue::ReceiveQueue;
use super::send_queue::SendQueue;

/// From so many on what was put off is done at once.
const MANY: usize = 32;
/// Up to so much, what is done for it on the network is done by JavaScript's thread itself: to begin one stream, to write a
/// short message to it and to end it. With more of it the network's threads work beside JavaScript's.
const FEW: usize = 4;
const FEW_BYTES: usize = 4096;

/// What is put off until the script that is running is done, so that the network's threads are woken once.
pub(crate) enum Later {
    /// Starts the task of a stream.
    Start(Box<dyn FnOnce() + Send>),
    /// Tells one that something has changed.
    Tell(Arc<Notify>),
}

impl Later {
    fn run(self) {
        match self {
            Self::Start(start) => start(),
            Self::Tell(changed) => changed.notify_one(),
        }
    }
}

/// The halves that JavaScript has.
#[derive(Default)]
pub(crate) struct Halves {
    sending: Mutex<HashMap<u32, Arc<SendQueue>>>,
    receiving: Mutex<HashMap<u32, Arc<ReceiveQueue>>>,
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
    pub(crate) fn add_send(&self, key: u32, queue: Arc<SendQueue>) {
        lock(&self.sending).insert(key, queue);
    }

    /// Enters a half that is read.
    pub(crate) fn add_receive(&self, key: u32, queue: Arc<ReceiveQueue>) {
        lock(&self.receiving).insert(key, queue);
    }

    /// What a script writes to.
    pub(crate) fn send(&self, key: u32) -> Option<Arc<SendQueue>> {
        lock(&self.sending).get(&key).cloned()
    }

    /// What a script reads from.
    pub(crate) fn receive(&self, key: u32) -> Option<Arc<ReceiveQueue>> {
        lock(&self.receiving).get(&key).cloned()
    }

    /// JavaScript has no more to do with the half. One that is still open is given up: nobody can write the rest.
    pub(crate) fn release_send(&self, key: u32) {
        if let Some(queue) = lock(&self.sending).remove(&key) {
            queue.abandon();
        }
    }

    /// JavaScript has no more to do with the half. One that is still open is stopped: nobody reads the rest.
    pub(crate) fn release_receive(&self, key: u32) {
        if let Some(queue) = lock(&self.receiving).remove(&key) {
            queue.stop(0);
        }
    }

    /// Puts something off until [`Halves::flush`].
    pub(crate) fn later(&self, what: Later) {
        self.wrote(what, 0);
    }

    /// Puts off the word that so many bytes have been written.
    pub(crate) fn wrote(&self, what: Later, bytes: usize) {
        let mut later = lock(&self.later);
        later.what.push(what);
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
