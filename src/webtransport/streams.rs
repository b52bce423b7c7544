//! The streams of a session on their way between the network and their JavaScript objects.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quinn::{ReadError, RecvStream, SendStream, VarInt};
use tokio::sync::Notify;

use super::credit::{Ending, Inflow, Slot};

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
    /// Its place among the peer's streams, where their number is limited.
    pub(crate) slot: Option<Arc<Slot>>,
}

/// The half of a stream that we read, and the application's bytes that came with the header.
pub(crate) struct ReceiveHalf {
    /// QUIC's half.
    pub(crate) stream: RecvStream,
    /// The first bytes.
    pub(crate) first: Bytes,
    /// How it has ended, if that is known already.
    pub(crate) end: Option<ReceiveEnd>,
    /// Counts what comes, where that is limited.
    pub(crate) inflow: Option<Inflow>,
}

/// The end of what the peer sends on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiveEnd {
    /// The last byte has been read.
    Finished,
    /// The peer has given it up.
    Reset(VarInt),
}

impl ReceiveHalf {
    /// A half of which `first` has been read.
    pub(crate) fn new(stream: RecvStream, first: Bytes) -> Self {
        Self {
            stream,
            first,
            end: None,
            inflow: None,
        }
    }

    /// Counts what has come and what will.
    pub(crate) fn count(&mut self, inflow: Inflow) {
        inflow.arrived(self.first.len());
        self.inflow = Some(inflow);
    }

    /// Takes a piece that was read ahead.
    fn read_ahead(&mut self, piece: Bytes) {
        if let Some(inflow) = &self.inflow {
            inflow.arrived(piece.len());
        }
        self.first = if self.first.is_empty() {
            piece
        } else {
            [&self.first[..], &piece].concat().into()
        };
    }

    /// Reads a little ahead: of a small stream all may be there.
    pub(crate) fn look_ahead(&mut self) {
        let _end = self.poll_reset(&mut Context::from_waker(Waker::noop()));
    }

    /// Ready when the peer has given the stream up. This reads a little ahead: quinn's own `received_reset` leaves a
    /// waker behind for good when the stream is complete but not read.
    fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.end {
                Some(ReceiveEnd::Reset(_)) => return Poll::Ready(()),
                Some(ReceiveEnd::Finished) => return Poll::Pending,
                None => {}
            }
            let room = UNTAKEN_AHEAD.saturating_sub(self.first.len());
            if room == 0 {
                if let Some(inflow) = &self.inflow {
                    inflow.hold_back();
                }
                return Poll::Pending;
            }
            let read = pin!(self.stream.read_chunk(room, true)).poll(context);
            match read {
                Poll::Ready(Ok(Some(chunk))) => self.read_ahead(chunk.bytes),
                Poll::Ready(Ok(None)) => {
                    self.end = Some(ReceiveEnd::Finished);
                    if let Some(inflow) = &self.inflow {
                        inflow.end(Ending::Whole);
                    }
                }
                Poll::Ready(Err(ReadError::Reset(code))) => self.end = Some(ReceiveEnd::Reset(code)),
                // The connection is lost, which ends the session.
                Poll::Ready(Err(
                    ReadError::ConnectionLost(_)
                    | ReadError::ClosedStream
                    | ReadError::IllegalOrderedRead
                    | ReadError::ZeroRttRejected,
                ))
                | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Bytes that are read of a stream before JavaScript takes it, to see whether the peer gives it up.
const UNTAKEN_AHEAD: usize = 4096;
/// Streams of a kind that may have been read to their end before JavaScript takes them. QUIC counts those no longer: behind so
/// many the others are not looked at, so that its limit on open streams bounds them all.
const UNTAKEN_ENDED: usize = 128;

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

/// A stream of the peer that JavaScript has not taken.
struct Arrived {
    stream: Stream,
    /// Resolves when the peer wants nothing on our half; made when it has given up its own.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Arrived {
    /// Whether all that the peer sends on it has been read.
    fn is_read(&self) -> bool {
        let receive = self.stream.receive.as_ref();
        receive.is_some_and(|half| half.end == Some(ReceiveEnd::Finished))
    }

    /// Ready when the peer has given up the whole stream. Half a stream may still be of use.
    fn poll_given_up(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(half) = &mut self.stream.receive
            && half.poll_reset(context).is_pending()
        {
            return Poll::Pending;
        }
        let Some(half) = &self.stream.send else {
            return Poll::Ready(());
        };
        let stopped = self.stopped.get_or_insert_with(|| {
            let stopped = half.stream.stopped();
            Box::pin(async move {
                // An error means that the connection is gone, and the stream with it.
                let _either = stopped.await;
            })
        });
        stopped.as_mut().poll(context)
    }
}

#[derive(Default)]
struct OneWay {
    /// The peer's streams that JavaScript has not taken. QUIC's limit on open streams bounds it, with [`UNTAKEN_ENDED`].
    incoming: VecDeque<Arrived>,
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

impl OneWay {
    /// Moves the streams that the peer has given up into `given_up`.
    fn poll_given_up(&mut self, context: &mut Context<'_>, given_up: &mut Vec<Stream>) {
        let (mut index, mut ended) = (0, 0);
        while ended < UNTAKEN_ENDED
            && let Some(arrived) = self.incoming.get_mut(index)
        {
            if arrived.poll_given_up(context).is_pending() {
                ended += usize::from(arrived.is_read());
                index += 1;
            } else if let Some(arrived) = self.incoming.remove(index) {
                given_up.push(arrived.stream);
            }
        }
    }
}

impl State {
    fn of(&mut self, direction: Direction) -> &mut OneWay {
        match direction {
            Direction::Bidirectional => &mut self.bidirectional,
            Direction::Unidirectional => &mut self.unidirectional,
        }
    }
}

/// All streams of a session that have no JavaScript objects yet.
#[derive(Default)]
pub(crate) struct Streams {
    state: Mutex<State>,
    bidirectional_wanted: Notify,
    unidirectional_wanted: Notify,
    /// A stream came that JavaScript did not wait for.
    left: Notify,
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
        way.incoming.push_back(Arrived { stream, stopped: None });
        if std::mem::take(&mut way.awaited) {
            Tell::Now
        } else {
            self.left.notify_one();
            Tell::No
        }
    }

    /// Waits until the peer has given up streams that JavaScript has not taken, and takes them out: such a stream is not
    /// to count as open until a script looks, nor to be what the script finds.
    pub(crate) async fn given_up(&self) -> Vec<Stream> {
        let mut left = pin!(self.left.notified());
        poll_fn(|context| {
            while left.as_mut().poll(context).is_ready() {
                left.set(self.left.notified());
            }
            let mut given_up = Vec::new();
            let mut state = self.state();
            state.bidirectional.poll_given_up(context, &mut given_up);
            state.unidirectional.poll_given_up(context, &mut given_up);
            if given_up.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(given_up)
            }
        })
        .await
    }

    /// The peer's next stream. When there is none JavaScript will be told of the next.
    pub(crate) fn accept(&self, direction: Direction) -> Option<Stream> {
        let mut state = self.state();
        let way = state.of(direction);
        match way.incoming.pop_front() {
            Some(Arrived { stream, .. }) => {
                if way.incoming.len() >= UNTAKEN_ENDED {
                    // One more may be looked at.
                    self.left.notify_one();
                }
                Some(stream)
            }
            None => {
                way.awaited = true;
                None
            }
        }
    }

    /// Keeps a stream for JavaScript and says under which key.
    pub(crate) fn keep(&self, stream: Stream) -> u32 {
        let mut state = self.state();
        // After four billion streams the first keys have long been taken.
        state.last_key = state.last_key.wrapping_add(1);
        let key = state.last_key;
        state.keyed.insert(key, stream);
        key
    }

    /// A stream that was kept.
    pub(crate) fn take(&self, key: u32) -> Option<Stream> {
        self.state().keyed.remove(&key)
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
        for way in [Direction::Bidirectional, Direction::Unidirectional] {
            left.extend(state.of(way).incoming.drain(..).map(|arrived| arrived.stream));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webtransport::task::tests::pair_with;

    #[tokio::test]
    async fn no_more_streams_than_so_many_are_read_to_their_end_before_a_script_takes_them() {
        let mut limits = quinn::TransportConfig::default();
        limits.max_concurrent_uni_streams(VarInt::from_u32(1000));
        let pair = pair_with(limits.into()).await;
        let streams = Streams::default();
        let mut sent = Vec::new();
        for _ in 0..2 * UNTAKEN_ENDED {
            let mut near = pair.client.open_uni().await.expect("opens");
            near.write_all(b"x").await.expect("takes");
            near.finish().expect("open");
            let far = pair.server.accept_uni().await.expect("comes");
            sent.push(near);
            let receive = Some(ReceiveHalf::new(far, Bytes::new()));
            let _untaken = streams.arrived(Direction::Unidirectional, Stream { send: None, receive });
        }
        for near in sent {
            near.stopped().await.expect("is acknowledged");
        }
        let mut given_up = pin!(streams.given_up());
        let mut read = || {
            let polled = given_up.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            let state = streams.state();
            state
                .unidirectional
                .incoming
                .iter()
                .filter(|arrived| arrived.is_read())
                .count()
        };
        assert_eq!(read(), UNTAKEN_ENDED);
        assert!(streams.accept(Direction::Unidirectional).is_some());
        assert_eq!(read(), UNTAKEN_ENDED);
    }
}
