//! A session's datagrams on their way out, by their places: those of a place leave in the order of writing.
//! <https://www.w3.org/TR/webtransport/#dom-datagramtransport-outgoingdatagramsqueue-slot>

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::scheduler::Place;

/// A datagram that a script has written.
pub(crate) struct Outgoing {
    pub(crate) bytes: Bytes,
    /// When.
    pub(crate) since: Instant,
    /// Its place among the session's senders.
    pub(crate) place: Place,
    /// The number of the `WebTransportDatagramsWritable` that it was written to.
    pub(crate) writable: u32,
}

/// [[OutgoingDatagramsQueue]] of all writables of a session.
#[derive(Default)]
pub(crate) struct OutgoingDatagrams {
    /// With the number of each, in the order of writing. Only that of the null place may be empty.
    by_place: HashMap<Place, VecDeque<(u64, Outgoing)>>,
    /// The number of each place's first.
    heads: BTreeMap<u64, Place>,
    written: u64,
    /// How often a place has got its first or lost its last.
    changes: u64,
}

impl OutgoingDatagrams {
    /// Adds one. True when it is the first of its place.
    pub(crate) fn push(&mut self, datagram: Outgoing) -> bool {
        self.written += 1;
        let place = datagram.place;
        let queue = self.by_place.entry(place).or_default();
        let is_first = queue.is_empty();
        queue.push_back((self.written, datagram));
        if is_first {
            self.heads.insert(self.written, place);
            self.changes += 1;
        }
        is_first
    }

    /// The place of the one that was written first.
    pub(crate) fn first(&self) -> Option<Place> {
        self.heads.first_key_value().map(|(_, place)| *place)
    }

    /// The first of that place.
    pub(crate) fn first_of(&self, place: Place) -> Option<&Outgoing> {
        self.by_place.get(&place)?.front().map(|(_, datagram)| datagram)
    }

    /// Takes the first of that place, and so many at most.
    pub(crate) fn take(&mut self, place: Place, most: usize) -> VecDeque<(u64, Outgoing)> {
        let Some(queue) = self.by_place.get_mut(&place) else {
            return VecDeque::new();
        };
        let count = queue.len().min(most);
        let taken: VecDeque<_> = queue.drain(..count).collect();
        self.moved(place, taken.front().map(|(number, _)| *number));
        taken
    }

    /// Takes the first of that place.
    pub(crate) fn pop(&mut self, place: Place) -> Option<Outgoing> {
        let (number, datagram) = self.by_place.get_mut(&place)?.pop_front()?;
        self.moved(place, Some(number));
        Some(datagram)
    }

    /// Puts back what was taken of a place.
    pub(crate) fn put_back(&mut self, place: Place, taken: VecDeque<(u64, Outgoing)>) {
        let queue = self.by_place.entry(place).or_default();
        let before = queue.front().map(|(number, _)| *number);
        for datagram in taken.into_iter().rev() {
            queue.push_front(datagram);
        }
        self.moved(place, before);
    }

    /// Takes the first of all if it is older than that.
    pub(crate) fn pop_older(&mut self, max_age: Duration, now: Instant) -> Option<Outgoing> {
        let place = self.first()?;
        let age = now.duration_since(self.first_of(place)?.since);
        if age > max_age { self.pop(place) } else { None }
    }

    /// The places that have some.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.heads.values().copied()
    }

    /// How often that has changed.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// The first of a place is another one than before.
    fn moved(&mut self, place: Place, before: Option<u64>) {
        let now = self.by_place.get(&place).and_then(VecDeque::front);
        let now = now.map(|(number, _)| *number);
        if now == before {
            return;
        }
        if let Some(before) = before {
            self.heads.remove(&before);
        }
        if let Some(now) = now {
            self.heads.insert(now, place);
        } else if place != Place::default() {
            self.by_place.remove(&place);
        }
        if before.is_none() || now.is_none() {
            self.changes += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(order: i64, since: Instant) -> Outgoing {
        Outgoing {
            bytes: Bytes::new(),
            since,
            place: Place { group: 0, order },
            writable: 1,
        }
    }

    /// The orders of those that leave, the first of all each time.
    fn rest(mut queue: OutgoingDatagrams) -> Vec<i64> {
        let mut orders = Vec::new();
        while let Some(place) = queue.first() {
            orders.push(place.order);
            assert!(queue.pop(place).is_some());
        }
        orders
    }

    #[test]
    fn the_first_of_all_and_the_first_of_a_place() {
        let (mut queue, now) = (OutgoingDatagrams::default(), Instant::now());
        let firsts = [1, 0, 1, 2, 0].map(|order| queue.push(outgoing(order, now)));
        assert_eq!(firsts, [true, true, false, true, false]);
        assert_eq!(queue.places().map(|place| place.order).collect::<Vec<_>>(), [1, 0, 2]);
        let place = Place { group: 0, order: 1 };
        assert!(queue.pop(place).is_some());
        assert_eq!(queue.changes(), 3);
        assert!(queue.pop(place).is_some());
        assert_eq!(queue.changes(), 4);
        assert!(queue.pop(place).is_none() && queue.first_of(place).is_none());
        assert_eq!(rest(queue), [0, 2, 0]);
    }

    #[test]
    fn what_is_put_back_stands_where_it_was() {
        let (mut queue, now) = (OutgoingDatagrams::default(), Instant::now());
        for order in [0, 5, 0, 0] {
            queue.push(outgoing(order, now));
        }
        let null = Place::default();
        for most in [1, 2, 3, 9] {
            let mut taken = queue.take(null, most);
            assert_eq!(taken.len(), most.min(3));
            if most == 9 {
                queue.push(outgoing(0, now));
                taken.pop_front();
            }
            queue.put_back(null, taken);
        }
        assert_eq!(queue.first(), Some(Place { group: 0, order: 5 }));
        assert_eq!(rest(queue), [5, 0, 0, 0]);
    }

    #[test]
    fn nothing_remains_of_places_but_the_null_one() {
        let mut queue = OutgoingDatagrams::default();
        let now = Instant::now();
        let old = now.checked_sub(Duration::from_secs(9)).expect("it runs for longer");
        for order in 0..9 {
            queue.push(outgoing(order, if order < 8 { old } else { now }));
        }
        let mut dropped = 0;
        while queue.pop_older(Duration::from_secs(5), now).is_some() {
            dropped += 1;
        }
        assert_eq!((dropped, queue.by_place.len(), queue.heads.len()), (8, 2, 1));
    }
}
