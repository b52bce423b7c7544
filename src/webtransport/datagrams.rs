//! A session's datagrams on their way out: a queue of our own, bounded and with the time of each, since quinn's drops
//! silently. And the form of datagrams on the wire, both ways.
//! <https://www.w3.org/TR/webtransport/#datagram-duplex-stream>

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::http3::varint;
use super::outgoing_datagrams::{Outgoing, OutgoingDatagrams};
use super::scheduler::Place;

/// Datagrams of one writable that wait at most until a script says otherwise: 64 KiB of full packets.
const OUTGOING: usize = 64;

/// So many are handed over between two looks at the queue.
const AT_ONCE: usize = 32;

struct Queue {
    datagrams: OutgoingDatagrams,
    /// How many there are of each writable.
    counts: HashMap<u32, usize>,
    /// With so many of one writable JavaScript waits until its last has gone.
    limit: usize,
    max_age: Option<Duration>,
    /// The writables that JavaScript waits for, and those of which it has to be told.
    awaited: Vec<u32>,
    freed: Vec<u32>,
    /// How many have been dropped since they were too old.
    expired: u64,
}

impl Queue {
    /// Drops what is too old.
    fn expire(&mut self, now: Instant) {
        let Some(max_age) = self.max_age else { return };
        while let Some(first) = self.datagrams.pop_older(max_age, now) {
            self.gone(first.writable);
            self.expired += 1;
        }
    }

    /// A datagram of that writable has left the queue.
    fn gone(&mut self, writable: u32) {
        let Some(count) = self.counts.get_mut(&writable) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.counts.remove(&writable);
        if let Some(index) = self.awaited.iter().position(|awaited| *awaited == writable) {
            self.awaited.swap_remove(index);
            self.freed.push(writable);
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

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Datagrams {
    fn default() -> Self {
        Self {
            outgoing: Mutex::new(Queue {
                datagrams: OutgoingDatagrams::default(),
                counts: HashMap::new(),
                limit: OUTGOING,
                max_age: None,
                awaited: Vec::new(),
                freed: Vec::new(),
                expired: 0,
            }),
            to_send: Arc::default(),
        }
    }
}

impl Datagrams {
    /// Adds one for the network. False when as many of its writable wait as may: JavaScript will be told when all have gone.
    pub(crate) fn send(&self, datagram: Outgoing) -> bool {
        let Outgoing { writable, .. } = datagram;
        let mut queue = lock(&self.outgoing);
        let is_first = queue.datagrams.push(datagram);
        let count = queue.counts.entry(writable).or_default();
        *count += 1;
        let room = *count < queue.limit;
        if !room && !queue.awaited.contains(&writable) {
            queue.awaited.push(writable);
        }
        // The first of its place may have its turn before others that wait.
        if is_first {
            self.to_send.notify_one();
        }
        room
    }

    /// After how many changes of them these are the places of those that wait to be sent; without the places where that is
    /// `known`. Those that have become too old are dropped.
    pub(crate) fn places_to_send(&self, known: Option<u64>) -> (u64, Option<Vec<Place>>) {
        let mut queue = lock(&self.outgoing);
        queue.expire(Instant::now());
        let changes = queue.datagrams.changes();
        let is_new = known != Some(changes);
        (changes, is_new.then(|| queue.datagrams.places().collect()))
    }

    /// How long the first to send from that place is.
    pub(crate) fn first_length(&self, from: Place) -> usize {
        let queue = lock(&self.outgoing);
        queue
            .datagrams
            .first_of(from)
            .map_or(0, |datagram| datagram.bytes.len())
    }

    /// Takes the first to send from that place, which is too late for it to become too old. It takes its room until
    /// [`Datagrams::sent`].
    pub(crate) fn take_first(&self, from: Place) -> Option<Outgoing> {
        lock(&self.outgoing).datagrams.pop(from)
    }

    /// Waits for one to send, and says before that there is `none`. Cancel safe. `None` when those in the queue have become
    /// too old and JavaScript waits for that: see [`Datagrams::freed`].
    pub(crate) async fn next_to_send(&self, mut none: impl FnMut()) -> Option<Place> {
        loop {
            {
                let mut queue = lock(&self.outgoing);
                queue.expire(Instant::now());
                if !queue.freed.is_empty() {
                    return None;
                }
                if let Some(first) = queue.datagrams.first() {
                    return Some(first);
                }
            }
            none();
            self.to_send.notified().await;
        }
    }

    /// Hands over those at the head of the queue, whatever their places, until there is none or `hand_over` has no room
    /// for one, which it says by `false`. Nobody waits for the queue meanwhile.
    pub(crate) fn hand_over(&self, mut hand_over: impl FnMut(&Bytes) -> bool) {
        let mut queue = lock(&self.outgoing);
        loop {
            queue.expire(Instant::now());
            let Some(place) = queue.datagrams.first() else { return };
            let mut taken = queue.datagrams.take(place, AT_ONCE);
            drop(queue);
            let gone = taken
                .iter()
                .take_while(|(_, datagram)| hand_over(&datagram.bytes))
                .count();
            queue = lock(&self.outgoing);
            for (_, datagram) in taken.drain(..gone) {
                queue.gone(datagram.writable);
            }
            if !taken.is_empty() {
                queue.datagrams.put_back(place, taken);
                return;
            }
        }
    }

    /// QUIC has one of that writable, or dropped it.
    pub(crate) fn sent(&self, writable: u32) {
        lock(&self.outgoing).gone(writable);
    }

    /// The writables that JavaScript has to be told of: all that was written to them has gone.
    pub(crate) fn freed(&self) -> Vec<u32> {
        std::mem::take(&mut lock(&self.outgoing).freed)
    }

    /// How many were too old to be sent, or are now.
    pub(crate) fn expired(&self) -> u64 {
        let mut queue = lock(&self.outgoing);
        queue.expire(Instant::now());
        if !queue.freed.is_empty() {
            self.to_send.notify_one();
        }
        queue.expired
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

    fn write(datagrams: &Datagrams, writable: u32, since: Instant) -> bool {
        datagrams.send(Outgoing {
            bytes: Bytes::from_static(b"x"),
            since,
            place: Place::default(),
            writable,
        })
    }

    /// The writable of the first, which is sent.
    fn send_first(datagrams: &Datagrams) -> Option<u32> {
        let Outgoing { writable, .. } = datagrams.take_first(Place::default())?;
        datagrams.sent(writable);
        Some(writable)
    }

    #[test]
    fn each_writable_has_its_own_room_and_is_told_of_when_its_last_has_gone() {
        let datagrams = Datagrams::default();
        datagrams.set_outgoing_limit(2);
        let now = Instant::now();
        assert!(write(&datagrams, 1, now));
        assert!(!write(&datagrams, 1, now));
        assert!(write(&datagrams, 2, now));
        assert_eq!(send_first(&datagrams), Some(1));
        assert!(datagrams.freed().is_empty());
        assert_eq!(send_first(&datagrams), Some(1));
        assert_eq!(datagrams.freed(), [1]);
        assert_eq!(send_first(&datagrams), Some(2));
        assert_eq!(send_first(&datagrams), None);
        assert!(datagrams.freed().is_empty());
    }

    #[test]
    fn what_is_being_sent_takes_its_room_and_is_not_too_old() {
        let datagrams = Datagrams::default();
        datagrams.set_outgoing_limit(2);
        let since = Instant::now();
        write(&datagrams, 1, since);
        let first = datagrams.take_first(Place::default()).expect("one was written");
        datagrams.set_outgoing_max_age(Some(Duration::ZERO));
        assert_eq!(datagrams.expired(), 0);
        assert!(!write(&datagrams, 1, since + Duration::from_secs(60)));
        datagrams.sent(first.writable);
        assert!(datagrams.freed().is_empty());
        assert_eq!(send_first(&datagrams), Some(1));
        assert_eq!(datagrams.freed(), [1]);
    }

    #[test]
    fn those_that_find_no_room_keep_their_order() {
        let datagrams = Datagrams::default();
        datagrams.set_outgoing_limit(AT_ONCE);
        let now = Instant::now();
        for writable in [1, 2] {
            for count in 1..=AT_ONCE {
                assert_eq!(write(&datagrams, writable, now), count < AT_ONCE);
            }
        }
        let mut room = AT_ONCE + 1;
        let mut hand_over = |_: &Bytes| {
            let fits = room > 0;
            room = room.saturating_sub(1);
            fits
        };
        datagrams.hand_over(&mut hand_over);
        assert_eq!(datagrams.freed(), [1]);
        write(&datagrams, 3, now);
        let waiting = |datagrams: &Datagrams| {
            let mut queue = lock(&datagrams.outgoing);
            let all = queue.datagrams.take(Place::default(), usize::MAX);
            let writables = all.iter().map(|(_, datagram)| datagram.writable).collect::<Vec<_>>();
            queue.datagrams.put_back(Place::default(), all);
            writables
        };
        assert_eq!(waiting(&datagrams), [vec![2; AT_ONCE - 1], vec![3]].concat());
        datagrams.hand_over(|_| true);
        assert!(waiting(&datagrams).is_empty());
        assert_eq!(datagrams.freed(), [2]);
    }

    #[tokio::test]
    async fn what_is_too_old_is_dropped_and_told_of() {
        let datagrams = Datagrams::default();
        datagrams.set_outgoing_limit(1);
        datagrams.set_outgoing_max_age(Some(Duration::from_secs(60)));
        let now = Instant::now();
        let old = now.checked_sub(Duration::from_secs(61)).expect("it runs for longer");
        assert!(!write(&datagrams, 7, old));
        assert!(!write(&datagrams, 8, now));
        let waits = || unreachable!("there is one");
        assert_eq!(datagrams.next_to_send(waits).await, None);
        assert_eq!(datagrams.freed(), [7]);
        assert_eq!(datagrams.next_to_send(waits).await, Some(Place::default()));
        assert_eq!(datagrams.expired(), 1);
    }

    #[tokio::test]
    async fn what_nobody_has_looked_at_counts_as_too_old_too_and_is_told_of() {
        let datagrams = Datagrams::default();
        datagrams.set_outgoing_limit(1);
        datagrams.set_outgoing_max_age(Some(Duration::from_secs(60)));
        let old = Instant::now().checked_sub(Duration::from_secs(61));
        assert!(!write(&datagrams, 7, old.expect("it runs for longer")));
        datagrams.to_send.notified().await;
        assert_eq!(datagrams.expired(), 1);
        datagrams.to_send.notified().await;
        assert_eq!(datagrams.freed(), [7]);
    }
}
