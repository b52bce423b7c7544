//! What has come on a stream and no script has read: the queue between the two.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::Notify;

use super::credit::Inflow;

/// Bytes that a stream holds before JavaScript has asked for them, so that a read needs no round trip to the task.
pub(crate) const AHEAD: usize = 128 * 1024;

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

/// What there is for JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// More than it has room for: so many, none of which it got.
    Waiting(usize),
    /// So many, which it got; none when it will be told of the next.
    Taken(usize),
    /// The last ones, which it got: the peer has finished.
    Last(usize),
}

/// Up to so many bytes go along with the word that they have come.
const FEW: usize = 4096;

/// What JavaScript is told, which has waited for bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Bytes wait.
    Waiting,
    /// Here they are.
    Bytes(Bytes),
    /// Here they are, and no more will come.
    Last(Bytes),
}

#[derive(Default)]
pub(crate) struct ReceiveQueue {
    state: Mutex<State>,
    pub(crate) changed: Notify,
    /// Counts what is held, where the session limits it.
    pub(crate) inflow: Option<Inflow>,
}

impl ReceiveQueue {
    pub(crate) fn new(first: Bytes, inflow: Option<Inflow>) -> Self {
        let queue = Self {
            inflow,
            ..Self::default()
        };
        queue.arrived(first);
        queue
    }

    /// Whether the task may take more from QUIC.
    pub(crate) fn has_room(&self) -> bool {
        let room = !self.is_full();
        if let Some(inflow) = &self.inflow {
            if room {
                inflow.resume();
            } else {
                inflow.hold_back();
            }
        }
        room
    }

    /// So many bytes are held no longer.
    fn released(&self, bytes: usize) {
        if let Some(inflow) = &self.inflow {
            inflow.read(bytes);
        }
    }

    /// Drops what nobody will read.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.chunks.clear();
        self.released(std::mem::take(&mut state.bytes));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all bytes, if they fit into `target`. When there are none and more may come, JavaScript will be told. What is
    /// said and what is taken is one look: bytes that come between two would be taken and not told of.
    pub(crate) fn receive(&self, target: &mut [u8]) -> Received {
        let mut state = self.state();
        if state.bytes > target.len() {
            return Received::Waiting(state.bytes);
        }
        state.awaited = state.bytes == 0 && !state.finished;
        let taken = self.take(&mut state, target);
        if state.finished {
            Received::Last(taken)
        } else {
            Received::Taken(taken)
        }
    }

    /// How many bytes have come, in order; −1 when more of them may stand in QUIC.
    pub(crate) fn received(&self) -> f64 {
        let state = self.state();
        if state.bytes >= AHEAD && !state.finished {
            -1.0
        } else {
            state.received as f64
        }
    }

    /// The peer has finished.
    pub(crate) fn finish(&self) {
        self.state().finished = true;
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().bytes == 0
    }

    /// JavaScript is to be told of the next bytes. True when there are some already.
    pub(crate) fn await_bytes(&self) -> bool {
        let mut state = self.state();
        state.awaited = state.bytes == 0 && !state.finished;
        state.bytes > 0
    }

    /// What JavaScript is to be told, after bytes or the end have come.
    pub(crate) fn tell(&self) -> Option<Told> {
        let mut state = self.state();
        if state.bytes == 0 || !std::mem::take(&mut state.awaited) {
            return None;
        }
        if state.bytes > FEW {
            return Some(Told::Waiting);
        }
        self.released(std::mem::take(&mut state.bytes));
        let bytes = if state.chunks.len() > 1 {
            let mut all = BytesMut::with_capacity(FEW);
            state.chunks.drain(..).for_each(|chunk| all.extend_from_slice(&chunk));
            all.freeze()
        } else {
            state.chunks.pop_front().unwrap_or_default()
        };
        Some(if state.finished {
            Told::Last(bytes)
        } else {
            Told::Bytes(bytes)
        })
    }

    /// Takes bytes, as many as fit into `target`, and says how many.
    pub(crate) fn read(&self, target: &mut [u8]) -> usize {
        self.take(&mut self.state(), target)
    }

    fn take(&self, state: &mut State, mut target: &mut [u8]) -> usize {
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
        let read = before - state.bytes;
        self.released(read);
        read
    }

    pub(crate) fn stop(&self, code: u32) {
        let mut state = self.state();
        if state.stopped.is_none() {
            state.stopped = Some(code);
            self.changed.notify_one();
            drop(state);
            self.clear();
        }
    }

    /// Adds a chunk; `tell` then says of what JavaScript has to be told.
    pub(crate) fn arrived(&self, chunk: Bytes) {
        let mut state = self.state();
        state.bytes += chunk.len();
        state.received += chunk.len() as u64;
        if !chunk.is_empty() {
            state.chunks.push_back(chunk);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.state().bytes >= AHEAD
    }

    pub(crate) fn stopped(&self) -> Option<u32> {
        self.state().stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(first: &'static [u8]) -> ReceiveQueue {
        ReceiveQueue::new(Bytes::from_static(first), None)
    }

    #[test]
    fn all_is_taken_or_nothing() {
        let queue = queue(b"abc");
        assert_eq!(queue.receive(&mut [0; 2]), Received::Waiting(3));
        let mut target = [0; 4];
        assert_eq!(queue.receive(&mut target), Received::Taken(3));
        assert_eq!(&target, b"abc\0");
    }

    #[test]
    fn whoever_found_nothing_is_told_of_the_next_bytes_once() {
        let queue = queue(b"");
        queue.arrived(Bytes::from_static(b"a"));
        assert_eq!(queue.tell(), None);
        assert_eq!(queue.receive(&mut [0; 4]), Received::Taken(1));
        assert_eq!(queue.receive(&mut [0; 4]), Received::Taken(0));
        assert_eq!(queue.tell(), None);
        queue.arrived(Bytes::from_static(b"b"));
        queue.arrived(Bytes::from_static(b"c"));
        assert_eq!(queue.tell(), Some(Told::Bytes(Bytes::from_static(b"bc"))));
        queue.arrived(Bytes::from_static(b"d"));
        assert_eq!(queue.tell(), None);
        assert_eq!(queue.receive(&mut [0; 4]), Received::Taken(1));
    }

    #[test]
    fn whoever_is_to_be_told_of_bytes_is_told_of_the_last_as_such() {
        let queue = queue(b"");
        assert!(!queue.await_bytes());
        queue.arrived(Bytes::from_static(b"a"));
        queue.finish();
        assert_eq!(queue.tell(), Some(Told::Last(Bytes::from_static(b"a"))));
        assert!(queue.is_empty());
    }

    #[test]
    fn many_bytes_are_left_to_be_taken() {
        let queue = queue(b"");
        assert!(!queue.await_bytes());
        queue.arrived(Bytes::from_static(&[0; FEW + 1]));
        assert_eq!(queue.tell(), Some(Told::Waiting));
        assert!(queue.await_bytes(), "there are some already");
        assert_eq!(queue.receive(&mut [0; 4]), Received::Waiting(FEW + 1));
    }

    #[test]
    fn the_last_bytes_are_told_as_such_and_nobody_waits_for_more() {
        let queue = queue(b"abc");
        queue.finish();
        assert_eq!(queue.receive(&mut [0; 2]), Received::Waiting(3));
        assert_eq!(queue.receive(&mut [0; 4]), Received::Last(3));
        assert_eq!(queue.receive(&mut [0; 4]), Received::Last(0));
    }

    #[test]
    fn bytes_that_come_while_others_are_taken_are_told_of_too() {
        const CHUNKS: u32 = 60_000;
        let queue = queue(b"");
        let taken = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..CHUNKS {
                    queue.arrived(Bytes::copy_from_slice(&number.to_be_bytes()));
                    if number % 64 == 0 {
                        // On one core too both get their turns.
                        std::thread::yield_now();
                    }
                }
                queue.finish();
            });
            let mut target = vec![0; CHUNKS as usize * 4];
            let mut taken = Vec::new();
            loop {
                match queue.receive(&mut target) {
                    Received::Taken(count) => taken.extend_from_slice(&target[..count]),
                    Received::Last(count) => {
                        taken.extend_from_slice(&target[..count]);
                        return taken;
                    }
                    Received::Waiting(count) => unreachable!("there is room for {count}"),
                }
            }
        });
        let sent: Vec<_> = (0..CHUNKS).flat_map(u32::to_be_bytes).collect();
        assert!(taken == sent, "{} of {} bytes", taken.len(), sent.len());
    }
}
