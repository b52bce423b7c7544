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

    /// How many bytes there are. When there are none and more may come, JavaScript will be told.
    pub(crate) fn available(&self) -> usize {
        let mut state = self.state();
        state.awaited = state.bytes == 0 && !state.finished;
        state.bytes
    }

    /// Whether all has been taken and the peer has finished.
    pub(crate) fn is_read(&self) -> bool {
        let state = self.state();
        state.finished && state.bytes == 0
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

    pub(crate) fn read(&self, mut target: &mut [u8]) -> usize {
        let mut state = self.state();
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
