//! A session's datagrams on their way out: a queue of our own, bounded and with the time of each, since quinn's drops
//! silently. And the form of datagrams on the wire, both ways.
//! <https://www.w3.org/TR/webtransport/#datagram-duplex-stream>

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::http3::varint;
use super::scheduler::Place;

/// Datagrams that wait at most until a script says otherwise: 64 KiB of full packets.
const OUTGOING: usize = 64;

struct Queue {
    /// Each with its time and, on its way out, its place among the session's senders.
    datagrams: VecDeque<(Instant, Bytes, Place)>,
    /// More than so many are too many.
    limit: usize,
    max_age: Option<Duration>,
    /// JavaScript waits for room.
    awaited: bool,
    /// How many have been dropped since they were too old.
    expired: u64,
}

impl Queue {
    fn new(limit: usize) -> Self {
        Self {
            datagrams: VecDeque::new(),
            limit,
            max_age: None,
            awaited: false,
            expired: 0,
        }
    }

    /// Drops what is too old.
    fn expire(&mut self, now: Instant) {
        let Some(max_age) = self.max_age else { return };
        while let Some((since, ..)) = self.datagrams.front()
            && now.duration_since(*since) > max_age
        {
            self.datagrams.pop_front();
            self.expired += 1;
        }
    }
}

/// The datagrams of a session that wait to be sent.
pub(crate) struct Datagrams {
    outgoing: Mutex<Queue>,
    /// Also the bell of their turns.
    pub(crate) to_send: Arc<Notify>,
}

/// Whether JavaScript has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    /// It waits.
    Now,
    /// It doesn't.
    No,
}

fn tell(awaited: &mut bool) -> Tell {
    if std::mem::take(awaited) { Tell::Now } else { Tell::No }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Datagrams {
    fn default() -> Self {
        Self {
            outgoing: Mutex::new(Queue::new(OUTGOING)),
            to_send: Arc::default(),
        }
    }
}

impl Datagrams {
    /// Adds one for the network. False when as many wait as may: JavaScript will be told when there is room.
    pub(crate) fn send(&self, datagram: Bytes, place: Place, now: Instant) -> bool {
        let mut queue = lock(&self.outgoing);
        queue.datagrams.push_back((now, datagram, place));
        let room = queue.datagrams.len() < queue.limit;
        queue.awaited = !room;
        if queue.datagrams.len() == 1 {
            self.to_send.notify_one();
        }
        room
    }

    /// The places of those that wait to be sent, each once, in order; none when the queue is empty. Those that have become too
    /// old are dropped.
    pub(crate) fn places_to_send(&self) -> Vec<Place> {
        let mut queue = lock(&self.outgoing);
        queue.expire(Instant::now());
        let mut places = Vec::new();
        for (.., place) in &queue.datagrams {
            if !places.contains(place) {
                places.push(*place);
            }
        }
        places
    }

    /// The first to send from that place. It stays in the queue until [`Datagrams::sent`].
    pub(crate) fn first_to_send(&self, from: Place) -> Option<Bytes> {
        let queue = lock(&self.outgoing);
        let first = queue.datagrams.iter().find(|(.., place)| *place == from);
        first.map(|(_, datagram, _)| datagram.clone())
    }

    /// Waits for one to send. Cancel safe. `None` when those in the queue have become too old and JavaScript waits for the
    /// room that this made.
    pub(crate) async fn next_to_send(&self) -> Option<Place> {
        loop {
            {
                let mut queue = lock(&self.outgoing);
                queue.expire(Instant::now());
                if let Some((.., place)) = queue.datagrams.front() {
                    return Some(*place);
                }
                if std::mem::take(&mut queue.awaited) {
                    return None;
                }
            }
            self.to_send.notified().await;
        }
    }

    /// Removes the first to send from that place: QUIC has it, or dropped it.
    pub(crate) fn sent(&self, from: Place) -> Tell {
        let mut queue = lock(&self.outgoing);
        if let Some(index) = queue.datagrams.iter().position(|(.., place)| *place == from) {
            queue.datagrams.remove(index);
        }
        if queue.datagrams.len() < queue.limit {
            tell(&mut queue.awaited)
        } else {
            Tell::No
        }
    }

    /// How many were too old to be sent.
    pub(crate) fn expired(&self) -> u64 {
        lock(&self.outgoing).expired
    }

    /// `outgoingMaxAge`; `None` is without a limit.
    pub(crate) fn set_outgoing_max_age(&self, max_age: Option<Duration>) {
        lock(&self.outgoing).max_age = max_age;
    }

    /// `outgoingMaxBufferedDatagrams`
    pub(crate) fn set_outgoing_limit(&self, limit: usize) {
        lock(&self.outgoing).limit = limit;
    }
}

/// Puts the session's number before a datagram: <https://www.rfc-editor.org/rfc/rfc9297#section-2.1>.
pub(crate) fn encode(session_id: u64, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + 8);
    varint::write(&mut out, session_id / 4);
    out.extend_from_slice(payload);
    out.into()
}

/// How many bytes the session's number takes.
pub(crate) const fn overhead(session_id: u64) -> usize {
    varint::len(session_id / 4)
}

/// The session's number and the payload; `None` when the number is cut or too large.
pub(crate) fn decode(mut datagram: Bytes) -> Option<(u64, Bytes)> {
    let (quarter, length) = varint::read(&datagram)?;
    let id = quarter.checked_mul(4).filter(|id| *id <= varint::MAX)?;
    Some((id, datagram.split_off(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire() {
        for (id, payload) in [(0, &b""[..]), (4, b"x"), (256, b"abc"), (varint::MAX - 3, b"y")] {
            let encoded = encode(id, payload);
            assert_eq!(encoded.len(), payload.len() + overhead(id));
            assert_eq!(decode(encoded), Some((id, Bytes::copy_from_slice(payload))));
        }
        for wrong in [&[][..], &[0x40], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(decode(Bytes::copy_from_slice(wrong)), None);
        }
    }

    #[test]
    fn a_full_queue_says_when_it_has_room() {
        let datagrams = Datagrams::default();
        datagrams.set_outgoing_limit(2);
        let now = Instant::now();
        assert!(datagrams.send(Bytes::from_static(b"1"), Place::default(), now));
        assert!(!datagrams.send(Bytes::from_static(b"2"), Place::default(), now));
        assert_eq!(datagrams.sent(Place::default()), Tell::Now);
        assert_eq!(datagrams.sent(Place::default()), Tell::No);
    }
}
