//! The streams of a session on their way between the network and their JavaScript objects.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use tokio::sync::Notify;

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Both ways.
    Bidirectional,
    /// From the end that opened it.
    Unidirectional,
}

/// The half of a stream that we write, and what stands before the application's bytes.
pub(crate) struct SendHalf {
    /// QUIC's half.
    pub(crate) stream: SendStream,
    /// The stream's header, when we opened it.
    pub(crate) header: Bytes,
}

/// The half of a stream that we read, and the application's bytes that came with the header.
pub(crate) struct ReceiveHalf {
    /// QUIC's half.
    pub(crate) stream: RecvStream,
    /// The first bytes.
    pub(crate) first: Bytes,
}

/// A stream that has no JavaScript objects yet.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) send: Option<SendHalf>,
    pub(crate) receive: Option<ReceiveHalf>,
}

/// What a script has asked for: a stream of ours, to be opened when the peer's limit allows.
pub(crate) struct Opening {
    /// The promise to settle.
    pub(crate) operation: u32,
}

#[derive(Default)]
struct OneWay {
    /// The peer's streams that JavaScript has not taken. QUIC's limit on open streams bounds it.
    incoming: VecDeque<Stream>,
    /// JavaScript found none and wants to be told.
    awaited: bool,
    opening: VecDeque<Opening>,
}

#[derive(Default)]
struct State {
    bidirectional: OneWay,
    unidirectional: OneWay,
    /// Streams that JavaScript knows by a key and is about to take.
    keyed: HashMap<u32, Stream>,
    last_key: u32,
}

impl State {
    fn of(&mut self, direction: Direction) -> &mut OneWay {
        match direction {
            Direction::Bidirectional => &mut self.bidirectional,
            Direction::Unidirectional => &mut self.unidirectional,
        }
    }

    fn key(&mut self, stream: Stream) -> u32 {
        // 0 is "none". After four billion streams the first keys have long been taken.
        self.last_key = self.last_key.checked_add(1).unwrap_or(1);
        self.keyed.insert(self.last_key, stream);
        self.last_key
    }
}

/// All streams of a session that have no JavaScript objects yet.
#[derive(Default)]
pub(crate) struct Streams {
    state: Mutex<State>,
    bidirectional_wanted: Notify,
    unidirectional_wanted: Notify,
}

/// Whether JavaScript has to be told of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    /// It waits for one.
    Now,
    /// It will ask.
    No,
}

impl Streams {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wanted(&self, direction: Direction) -> &Notify {
        match direction {
            Direction::Bidirectional => &self.bidirectional_wanted,
            Direction::Unidirectional => &self.unidirectional_wanted,
        }
    }

    /// Adds a stream that the peer opened.
    pub(crate) fn arrived(&self, direction: Direction, stream: Stream) -> Tell {
        let mut state = self.state();
        let way = state.of(direction);
        way.incoming.push_back(stream);
        if std::mem::take(&mut way.awaited) {
            Tell::Now
        } else {
            Tell::No
        }
    }

    /// The key of the peer's next stream. When there is none JavaScript will be told of the next.
    pub(crate) fn accept(&self, direction: Direction) -> Option<u32> {
        let mut state = self.state();
        let way = state.of(direction);
        match way.incoming.pop_front() {
            Some(stream) => Some(state.key(stream)),
            None => {
                way.awaited = true;
                None
            }
        }
    }

    /// Keeps a stream for JavaScript and says under which key.
    pub(crate) fn keep(&self, stream: Stream) -> u32 {
        self.state().key(stream)
    }

    /// The half that a `WebTransportSendStream` is made around.
    pub(crate) fn take_send(&self, key: u32) -> Option<SendHalf> {
        self.take(key, |stream| stream.send.take())
    }

    /// The half that a `WebTransportReceiveStream` is made around.
    pub(crate) fn take_receive(&self, key: u32) -> Option<ReceiveHalf> {
        self.take(key, |stream| stream.receive.take())
    }

    fn take<Half>(&self, key: u32, half: impl FnOnce(&mut Stream) -> Option<Half>) -> Option<Half> {
        let mut state = self.state();
        let stream = state.keyed.get_mut(&key)?;
        let taken = half(stream);
        if stream.send.is_none() && stream.receive.is_none() {
            state.keyed.remove(&key);
        }
        taken
    }

    /// Asks for a stream of ours.
    pub(crate) fn want(&self, direction: Direction, opening: Opening) {
        self.state().of(direction).opening.push_back(opening);
        self.wanted(direction).notify_one();
    }

    /// Whether earlier requests still wait, so that a new one may not overtake them.
    pub(crate) fn has_waiting(&self, direction: Direction) -> bool {
        !self.state().of(direction).opening.is_empty()
    }

    /// Waits for a request for a stream of ours; it stays first in line until [`Streams::opened`]. Cancel safe.
    pub(crate) async fn next_wanted(&self, direction: Direction) {
        while !self.has_waiting(direction) {
            self.wanted(direction).notified().await;
        }
    }

    /// Removes the first request in line.
    pub(crate) fn opened(&self, direction: Direction) -> Option<Opening> {
        self.state().of(direction).opening.pop_front()
    }

    /// Takes everything that nobody has taken: the session has ended.
    pub(crate) fn drain(&self) -> Vec<Stream> {
        let mut state = self.state();
        let mut left: Vec<_> = state.keyed.drain().map(|(_, stream)| stream).collect();
        left.extend(state.bidirectional.incoming.drain(..));
        left.extend(state.unidirectional.incoming.drain(..));
        left
    }
}
