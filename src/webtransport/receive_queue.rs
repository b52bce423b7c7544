//! What has come on a stream and no script has read: the queue between the two.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
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

    /// True when JavaScript has to be told.
    pub(crate) fn arrived(&self, chunk: Bytes) -> bool {
        let mut state = self.state();
        state.bytes += chunk.len();
        state.received += chunk.len() as u64;
        if !chunk.is_empty() {
            state.chunks.push_back(chunk);
        }
        state.bytes > 0 && std::mem::take(&mut state.awaited)
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
        assert!(!queue.arrived(Bytes::from_static(b"a")));
        assert_eq!(queue.receive(&mut [0; 4]), Received::Taken(1));
        assert!(!queue.arrived(Bytes::from_static(b"b")));
        assert_eq!(queue.receive(&mut [0; 4]), Received::Taken(1));
        assert_eq!(queue.receive(&mut [0; 4]), Received::Taken(0));
        assert!(queue.arrived(Bytes::from_static(b"c")));
        assert!(!queue.arrived(Bytes::from_static(b"d")));
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
