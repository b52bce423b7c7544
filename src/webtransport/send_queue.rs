//! What a script has written to a stream and QUIC has not taken: the queue between the two.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::established::Session;
use super::halves::Later;
use super::scheduler::Place;

/// Bytes that a stream holds before QUIC has taken them, so that QUIC never waits for JavaScript between two writes.
const AHEAD: usize = 128 * 1024;
/// When a script that waits is told to write on.
const LOW: usize = AHEAD / 2;
/// Chunks handed to QUIC at once.
const BATCH: usize = 16;

/// What a stream's task has taken out of the queue and QUIC has not taken yet.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) batch: VecDeque<Bytes>,
    /// What QUIC is to take as a whole or not at all; then the batch is empty.
    pub(crate) atomic: Option<Bytes>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.atomic.is_none()
    }
}

/// How a script has ended the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Finish,
    Reset(u32),
}

struct State {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// What comes after the chunks, if QUIC takes it as a whole. JavaScript waits for that before it writes on.
    atomic: Option<Bytes>,
    place: Place,
    /// The stream's task has ended: places count no longer.
    over: bool,
    /// JavaScript waits for room.
    awaited: bool,
    end: End,
    /// The stream's task will look here, since it has been told or has not begun.
    told: bool,
}

pub(crate) struct SendQueue {
    state: Mutex<State>,
    /// Also the bell of the stream's turn.
    pub(crate) changed: Arc<Notify>,
}

/// What the task has to do next.
pub(crate) enum Next {
    Write,
    Finish,
    Reset(u32),
    Wait,
}

/// The methods that a script calls do not tell the stream's task; the caller does, by `changed`.
impl SendQueue {
    pub(crate) fn new(header: Bytes) -> Self {
        let chunks = if header.is_empty() {
            VecDeque::new()
        } else {
            VecDeque::from([header])
        };
        let state = State {
            chunks,
            bytes: 0,
            atomic: None,
            place: Place::default(),
            over: false,
            awaited: false,
            end: End::Open,
            told: true,
        };
        Self {
            state: Mutex::new(state),
            changed: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, chunk: Bytes) -> bool {
        let mut state = self.state();
        state.bytes += chunk.len();
        if !chunk.is_empty() {
            state.chunks.push_back(chunk);
        }
        state.awaited = state.bytes > AHEAD;
        !state.awaited
    }

    pub(crate) fn write_atomic(&self, chunk: Bytes) {
        self.state().atomic = Some(chunk);
    }

    pub(crate) fn set_place(&self, place: Place, session: &Session) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.place, place);
        if !state.over {
            session.turnstile.moved(before, place);
            self.changed.notify_one();
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.state().place
    }

    pub(crate) fn over(&self, session: &Session) {
        let mut state = self.state();
        state.over = true;
        session.turnstile.moved(state.place, Place::default());
    }

    pub(crate) fn end(&self, end: End) {
        let mut state = self.state();
        if !matches!(state.end, End::Reset(_)) {
            state.end = end;
        }
    }

    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        if state.end == End::Open {
            state.end = End::Reset(0);
            self.changed.notify_one();
        }
    }

    /// How the stream's task is to be told of what a script did, unless it will look anyway.
    pub(crate) fn news(&self) -> Option<Later> {
        let told = std::mem::replace(&mut self.state().told, true);
        (!told).then(|| Later::Tell(self.changed.clone()))
    }

    /// Moves what waits into `held`, as far as that has places.
    pub(crate) fn next(&self, held: &mut Held) -> Next {
        let mut state = self.state();
        state.told = false;
        if let End::Reset(code) = state.end {
            return Next::Reset(code);
        }
        if held.atomic.is_none() {
            while held.batch.len() < BATCH
                && let Some(chunk) = state.chunks.pop_front()
            {
                held.batch.push_back(chunk);
            }
            if held.batch.is_empty() {
                held.atomic = state.atomic.take();
            }
        }
        match (held.is_empty(), state.end) {
            (false, _) => Next::Write,
            (true, End::Finish) => Next::Finish,
            (true, End::Open | End::Reset(_)) => Next::Wait,
        }
    }

    /// QUIC has taken so many bytes. True when JavaScript has to be told of the room.
    pub(crate) fn taken(&self, bytes: usize) -> bool {
        let mut state = self.state();
        // The header, which is not counted, goes first.
        state.bytes = state.bytes.saturating_sub(bytes);
        state.bytes <= LOW && std::mem::take(&mut state.awaited)
    }
}
