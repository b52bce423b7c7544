//! Events on their way to JavaScript: how they stand in memory, and what one call of `drain` takes of them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::Port;
use crate::buffer::{LARGE, Payload};

/// Large payloads handed over in one batch, at most.
const LARGE_BATCH: usize = 1024 * 1024;
/// Memory that an idle queue keeps.
const KEPT_BYTES: usize = 256 * 1024;
const KEPT_RECORDS: usize = 4096;
/// Words of one record: object, kind and flags, `a`, `b`, length.
const RECORD_WORDS: usize = 5;
/// Where in a record they stand.
const KIND: usize = 1;
const LENGTH: usize = 4;
/// Bytes of a word.
const WORD: usize = size_of::<u32>();
/// Flag beside the kind: the payload is ASCII text.
const ASCII: u32 = 1 << 16;
/// Flag beside the kind: the payload is not in the batch but has to be asked for.
const BESIDE: u32 = 1 << 17;

/// Events in their order, and what they carry.
#[derive(Default)]
pub(super) struct Events {
    records: Vec<[u32; RECORD_WORDS]>,
    /// The small payloads, one after the other.
    bytes: Vec<u8>,
    large: VecDeque<Bytes>,
}

impl Events {
    pub(super) fn push(&mut self, id: u32, event: i32, a: u32, b: u32, payload: Payload<'_>) {
        let mut kind = u32::try_from(event).expect("event numbers are small and not negative");
        let length = payload.len();
        match payload {
            Payload::Bytes(bytes) if length >= LARGE => {
                kind |= BESIDE;
                self.large.push_back(bytes);
            }
            Payload::Slice(slice) if length >= LARGE => {
                kind |= BESIDE;
                self.large.push_back(Bytes::copy_from_slice(slice));
            }
            Payload::Text(text) => {
                if text.is_ascii() {
                    kind |= ASCII;
                }
                if length >= LARGE {
                    kind |= BESIDE;
                    self.large.push_back(Bytes::copy_from_slice(text.as_bytes()));
                } else {
                    self.bytes.extend_from_slice(text.as_bytes());
                }
            }
            Payload::Bytes(bytes) => self.bytes.extend_from_slice(&bytes),
            Payload::Slice(slice) => self.bytes.extend_from_slice(slice),
            Payload::None => {}
        }
        let length = u32::try_from(length).expect("payloads are limited far below 4 GiB before they are emitted");
        self.records.push([id, kind, a, b, length]);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Moves all of `other` behind what is here; `other` keeps its memory.
    fn append(&mut self, other: &mut Self) {
        self.records.append(&mut other.records);
        self.bytes.append(&mut other.bytes);
        self.large.append(&mut other.large);
    }

    /// Drops them all.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
        self.large.clear();
    }
}

/// Consecutive events of one object, so that an object is counted once a run and not once a message.
struct Run {
    port: Arc<Port>,
    records: usize,
    cost: usize,
}

/// Events that are taken together, perhaps in several calls.
#[derive(Default)]
pub(super) struct Batch {
    events: Events,
    runs: VecDeque<Run>,
    /// How many of the records, and of the bytes of small payloads, are taken.
    taken: usize,
    taken_bytes: usize,
}

impl Batch {
    /// Whether all is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.events.records.len()
    }

    /// Ready for the next events, when all is taken. A large payload may still be asked for.
    pub(super) fn clear(&mut self) {
        self.events.records.clear();
        self.events.bytes.clear();
        self.taken = 0;
        self.taken_bytes = 0;
    }

    /// Gives back what a burst made it grow to. While one lasts, it would only grow again.
    pub(super) fn shrink(&mut self) {
        self.events.bytes.shrink_to(KEPT_BYTES);
        self.events.records.shrink_to(KEPT_RECORDS);
    }

    /// Adds one event of an object.
    pub(super) fn push(&mut self, port: &Arc<Port>, (event, a, b): (i32, u32, u32), payload: Payload<'_>, cost: usize) {
        self.events.push(port.id, event, a, b, payload);
        self.count(port, 1, cost);
    }

    /// Adds events of one object, which leaves `events` empty.
    pub(super) fn append(&mut self, port: &Arc<Port>, events: &mut Events, cost: usize) {
        let records = events.len();
        self.events.append(events);
        self.count(port, records, cost);
    }

    fn count(&mut self, port: &Arc<Port>, records: usize, cost: usize) {
        match self.runs.back_mut() {
            Some(run) if Arc::ptr_eq(&run.port, port) => {
                run.records += records;
                run.cost += cost;
            }
            Some(_) | None => self.runs.push_back(Run {
                port: port.clone(),
                records,
                cost,
            }),
        }
    }

    /// The next large payload.
    pub(super) fn take_large(&mut self) -> Option<Bytes> {
        self.events.large.pop_front()
    }

    /// Copies records into `words` and their small payloads into `bytes`, as many as there is room for. Returns how many.
    pub(super) fn fill(&mut self, words: &mut [u8], bytes: &mut [u8]) -> u32 {
        let waiting = &self.events.records[self.taken..];
        let mut count = 0;
        let mut used = 0;
        let mut large = 0;
        for record in waiting.iter().take(words.len() / (RECORD_WORDS * WORD)) {
            let length = record[LENGTH] as usize;
            if record[KIND] & BESIDE != 0 {
                if large > 0 && large + length > LARGE_BATCH {
                    break;
                }
                large += length;
            } else if used + length <= bytes.len() {
                used += length;
            } else {
                break;
            }
            count += 1;
        }
        for (target, word) in words.chunks_exact_mut(WORD).zip(waiting[..count].as_flattened()) {
            target.copy_from_slice(&word.to_ne_bytes());
        }
        let small = &self.events.bytes[self.taken_bytes..self.taken_bytes + used];
        bytes[..used].copy_from_slice(small);
        self.taken += count;
        self.taken_bytes += used;
        self.settle(count);
        u32::try_from(count).expect("a batch holds fewer records than its word array has words")
    }

    /// All events, for a listener without JavaScript.
    #[cfg(test)]
    pub(super) fn into_heard(self) -> impl Iterator<Item = super::testing::Heard> {
        let Events {
            records,
            bytes,
            mut large,
        } = self.events;
        let mut used = 0;
        records.into_iter().map(move |[id, kind, a, _, length]| {
            let payload = if kind & BESIDE != 0 {
                large.pop_front().expect("stands beside").to_vec()
            } else {
                let start = used;
                used += length as usize;
                bytes[start..used].to_vec()
            };
            let event = i32::try_from(kind & 0xffff).expect("16 bits");
            super::testing::Heard { id, event, a, payload }
        })
    }

    /// Gives the budget of `count` records back to their objects; a run counts when its last record has gone.
    fn settle(&mut self, mut count: usize) {
        while let Some(run) = self.runs.front_mut() {
            if run.records > count {
                run.records -= count;
                return;
            }
            count -= run.records;
            if let Some(run) = self.runs.pop_front() {
                run.port.give_back(run.cost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in the first `count` records of `words`: kind with flags, and length.
    fn heads(words: &[u8], count: u32) -> Vec<(u32, u32)> {
        let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().expect("a word"));
        let records = words.chunks_exact(RECORD_WORDS * WORD).take(count as usize);
        records
            .map(|record| (word(&record[4..8]), word(&record[16..20])))
            .collect()
    }

    #[test]
    fn what_has_no_room_comes_with_the_next_call() {
        let mut gathered = Events::default();
        gathered.push(1, 7, 0, 0, Payload::Text("ab"));
        gathered.push(1, 8, 0, 0, Payload::Slice(&[0; LARGE]));
        gathered.push(1, 7, 0, 0, Payload::Text("\u{e9}"));
        gathered.push(1, 9, 0, 0, Payload::None);
        gathered.push(1, 8, 0, 0, Payload::Bytes(Bytes::from_static(b"xyz")));
        let mut batch = Batch::default();
        batch.events.append(&mut gathered);
        assert_eq!(gathered.len(), 0);
        let (mut words, mut bytes) = ([0; 3 * RECORD_WORDS * WORD], [0; 4]);
        let count = batch.fill(&mut words, &mut bytes);
        let large = LARGE as u32;
        assert_eq!(heads(&words, count), [(7 | ASCII, 2), (8 | BESIDE, large), (7, 2)]);
        assert_eq!(&bytes, "ab\u{e9}".as_bytes());
        assert!(!batch.is_empty());
        assert_eq!(batch.take_large().map(|payload| payload.len()), Some(LARGE));
        let count = batch.fill(&mut words, &mut bytes[..2]);
        assert_eq!(heads(&words, count), [(9, 0)]);
        let count = batch.fill(&mut words, &mut bytes);
        assert_eq!((heads(&words, count), &bytes[..3]), (vec![(8, 3)], &b"xyz"[..]));
        assert!(batch.is_empty());
    }
}
