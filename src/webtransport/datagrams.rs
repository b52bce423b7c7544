//! A session's datagrams on their way out: a queue of our own, bounded and with the time of each, since quinn's drops
//! silently. And the form of datagrams on the wire, both ways.
//! <https://www.w3.org/TR/webtransport/#datagram-duplex-stream>

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::http3::varint;

/// Datagrams that wait at most until a script says otherwise: 64 KiB of full packets.
const OUTGOING: usize = 64;

struct Queue {
    datagrams: VecDeque<(Instant, Bytes)>,
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
        while let Some((since, _)) = self.datagrams.front()
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
    to_send: Notify,
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
            to_send: Notify::new(),
        }
    }
}

impl Datagrams {
    /// Adds one for the network. False when as many wait as may: JavaScript will be told when there is room.
    pub(crate) fn send(&self, datagram: Bytes, now: Instant) -> bool {
        let mut queue = lock(&self.outgoing);
        queue.datagrams.push_back((now, datagram));
        let room = queue.datagrams.len() < queue.limit;
        queue.awaited = !room;
        if queue.datagrams.len() == 1 {
            self.to_send.notify_one();
        }
        room
    }

    /// Waits for one to send. Cancel safe: it stays in the queue until [`Datagrams::sent`]. `None` when those in the
    /// queue have become too old and JavaScript waits for the room that this made.
    pub(crate) async fn next_to_send(&self) -> Option<Bytes> {
        loop {
            {
                let mut queue = lock(&self.outgoing);
                queue.expire(Instant::now());
                if let Some((_, datagram)) = queue.datagrams.front() {
                    return Some(datagram.clone());
                }
                if std::mem::take(&mut queue.awaited) {
                    return None;
                }
            }
            self.to_send.notified().await;
        }
    }

    /// Removes the first to send: QUIC has it, or dropped it.
    pub(crate) fn sent(&self) -> Tell {
        let mut queue = lock(&self.outgoing);
        queue.datagrams.pop_front();
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
        assert!(datagrams.send(Bytes::from_static(b"1"), now));
        assert!(!datagrams.send(Bytes::from_static(b"2"), now));
        assert_eq!(datagrams.sent(), Tell::Now);
        assert_eq!(datagrams.sent(), Tell::No);
    }
}
