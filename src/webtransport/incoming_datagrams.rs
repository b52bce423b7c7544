//! The datagrams that a session has received and no script has read: a queue of our own, bounded and with the time of
//! each, since quinn's drops silently. <https://www.w3.org/TR/webtransport/#receivedatagrams>

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::datagrams::Tell;

/// Datagrams that wait at most until a script says otherwise: what comes while a reader at full speed is held up for some
/// milliseconds, and with full packets no more memory than unread streams may take.
const LIMIT: usize = 4096;
/// Bytes of what is said about each datagram that is taken: its length and its age in microseconds, 32 bits each.
pub(crate) const MARK: usize = 8;

struct Queue {
    datagrams: VecDeque<(Instant, Bytes)>,
    /// More than so many are too many.
    limit: usize,
    max_age: Option<Duration>,
    /// JavaScript waits for a datagram.
    awaited: bool,
    lost: Lost,
}

/// How many datagrams no script has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Too many waited.
    pub(crate) dropped: u64,
    /// They were too old.
    pub(crate) expired: u64,
}

/// The queue of one session.
pub(crate) struct IncomingDatagrams(Mutex<Queue>);

impl Default for IncomingDatagrams {
    fn default() -> Self {
        Self(Mutex::new(Queue {
            datagrams: VecDeque::new(),
            limit: LIMIT,
            max_age: None,
            awaited: false,
            lost: Lost::default(),
        }))
    }
}

impl IncomingDatagrams {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds some from the network, one at least; when too many wait the oldest are dropped.
    pub(crate) fn arrived(&self, datagrams: impl IntoIterator<Item = Bytes>, now: Instant) -> Tell {
        let mut queue = self.queue();
        for datagram in datagrams {
            while queue.datagrams.len() >= queue.limit.max(1) {
                queue.datagrams.pop_front();
                queue.lost.dropped += 1;
            }
            queue.datagrams.push_back((now, datagram));
        }
        if std::mem::take(&mut queue.awaited) {
            Tell::Now
        } else {
            Tell::No
        }
    }

    /// Takes the oldest that are not too old, as many as fit: their bytes into `bytes`, one after the other, and a mark of each into
    /// `marks`. When there is none JavaScript will be told of the next.
    pub(crate) fn take(&self, now: Instant, mut bytes: &mut [u8], marks: &mut [u8]) -> usize {
        let mut queue = self.queue();
        queue.expire(now);
        let mut count = 0;
        for mark in marks.chunks_exact_mut(MARK) {
            let Some((since, datagram)) = queue.datagrams.pop_front() else {
                break;
            };
            let Some((target, rest)) = bytes.split_at_mut_checked(datagram.len()) else {
                queue.datagrams.push_front((since, datagram));
                break;
            };
            target.copy_from_slice(&datagram);
            bytes = rest;
            let age = now.duration_since(since).as_micros().try_into().unwrap_or(u32::MAX);
            let length = u32::try_from(datagram.len()).expect("a UDP packet has at most 65,535 bytes");
            let (first, second) = mark.split_at_mut(MARK / 2);
            first.copy_from_slice(&length.to_ne_bytes());
            second.copy_from_slice(&age.to_ne_bytes());
            count += 1;
        }
        queue.awaited = count == 0;
        count
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.queue().datagrams.len()
    }

    /// JavaScript has taken some and no script has read them.
    pub(crate) fn lose(&self, Lost { dropped, expired }: Lost) {
        let mut queue = self.queue();
        queue.lost.dropped += dropped;
        queue.lost.expired += expired;
    }

    /// What has been lost so far.
    pub(crate) fn lost(&self) -> Lost {
        self.queue().lost
    }

    /// `incomingMaxBufferedDatagrams` and `incomingMaxAge`; `None` is without a limit.
    pub(crate) fn configure(&self, limit: usize, max_age: Option<Duration>) {
        let mut queue = self.queue();
        queue.limit = limit;
        queue.max_age = max_age;
    }
}

impl Queue {
    /// Drops what is too old.
    fn expire(&mut self, now: Instant) {
        let Some(max_age) = self.max_age else { return };
        while let Some((since, _)) = self.datagrams.front()
            && now.duration_since(*since) > max_age
        {
            self.datagrams.pop_front();
            self.lost.expired += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes with room for so many bytes and datagrams: what was taken, and the ages in milliseconds.
    fn take(queue: &IncomingDatagrams, now: Instant, room: usize, most: usize) -> Vec<(Vec<u8>, u32)> {
        let mut bytes = vec![0; room];
        let mut marks = vec![0; most * MARK];
        let count = queue.take(now, &mut bytes, &mut marks);
        let mut taken = Vec::new();
        for mark in marks.chunks_exact(MARK).take(count) {
            let word = |at: usize| u32::from_ne_bytes(mark[at..at + 4].try_into().expect("four bytes"));
            let rest = bytes.split_off(word(0) as usize);
            taken.push((bytes, word(4) / 1000));
            bytes = rest;
        }
        taken
    }

    #[test]
    fn many_are_taken_at_once_with_their_ages() {
        let queue = IncomingDatagrams::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(take(&queue, start, 100, 8), []);
        assert_eq!(queue.arrived([Bytes::from_static(b"1")], start), Tell::Now);
        assert_eq!(queue.arrived([Bytes::from_static(b"")], at(1)), Tell::No);
        assert_eq!(queue.arrived([Bytes::from_static(b"333")], at(2)), Tell::No);
        assert_eq!(queue.arrived([Bytes::from_static(b"44")], at(3)), Tell::No);
        assert_eq!(take(&queue, at(5), 3, 8), [(b"1".to_vec(), 5), (b"".to_vec(), 4)]);
        assert_eq!(take(&queue, at(5), 100, 1), [(b"333".to_vec(), 3)]);
        assert_eq!(queue.len(), 1);
        assert_eq!(take(&queue, at(5), 100, 8), [(b"44".to_vec(), 2)]);
        assert_eq!(queue.arrived([Bytes::new()], at(6)), Tell::No);
    }

    #[test]
    fn the_oldest_are_lost() {
        let queue = IncomingDatagrams::default();
        let start = Instant::now();
        queue.configure(2, None);
        for datagram in [&b"1"[..], b"2", b"3"] {
            queue.arrived([Bytes::from_static(datagram)], start);
        }
        queue.arrived([Bytes::from_static(b"4")], start + Duration::from_secs(2));
        assert_eq!(queue.lost(), Lost { dropped: 2, expired: 0 });
        queue.configure(2, Some(Duration::from_secs(1)));
        let taken = take(&queue, start + Duration::from_secs(2), 100, 8);
        assert_eq!(taken, [(b"4".to_vec(), 0)]);
        queue.lose(Lost { dropped: 5, expired: 7 });
        assert_eq!(queue.lost(), Lost { dropped: 7, expired: 8 });
    }
}
