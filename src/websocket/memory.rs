//! Memory of what is to be written: long pieces serve again, in whichever thread. Fresh memory is mapped and cleared by the
//! system page by page as it is touched, which costs twice as much as all else that is done for a long message.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From this capacity on memory is kept; of less the allocator has enough at hand.
const LONG: usize = 16 * 1024;
/// What is kept, in bytes: what scripts let wait before they wait themselves.
const KEPT: usize = 4 * 1024 * 1024;

static SPARE: Mutex<Spare> = Mutex::new(Spare {
    kept: Vec::new(),
    size: 0,
});

/// What was given back, the latest last: that is likely to be in a cache.
struct Spare {
    kept: Vec<Vec<u8>>,
    size: usize,
}

impl Spare {
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        // A short message must not hold long memory.
        let fits = |spare: &Vec<u8>| (capacity..=2 * capacity).contains(&spare.capacity());
        let index = self.kept.iter().rposition(fits)?;
        let spare = self.kept.remove(index);
        self.size -= spare.capacity();
        Some(spare)
    }

    fn give_back(&mut self, mut spare: Vec<u8>) {
        if self.size + spare.capacity() <= KEPT {
            spare.clear();
            self.size += spare.capacity();
            self.kept.push(spare);
        }
    }
}

fn spare() -> MutexGuard<'static, Spare> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes, whose memory is given back when they are dropped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory(Vec<u8>);

impl Memory {
    /// None so far, with room for so many.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        if capacity < LONG {
            return Self(Vec::with_capacity(capacity));
        }
        // Messages of about the same length have memory of the same.
        let capacity = capacity.next_multiple_of(LONG);
        let kept = spare().take(capacity);
        Self(kept.unwrap_or_else(|| Vec::with_capacity(capacity)))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.0.capacity() >= LONG {
            spare().give_back(std::mem::take(&mut self.0));
        }
    }
}

impl From<Vec<u8>> for Memory {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Memory {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Spare {
        Spare {
            kept: Vec::new(),
            size: 0,
        }
    }

    #[test]
    fn memory_serves_again_for_messages_of_about_its_length() {
        let mut spare = none();
        for length in [LONG, 4 * LONG, 9 * LONG] {
            spare.give_back(vec![1; length]);
        }
        assert!(spare.take(10 * LONG).is_none());
        assert!(spare.take(LONG / 4).is_none());
        let served = spare.take(3 * LONG).expect("there is one of four");
        assert_eq!((served.len(), served.capacity()), (0, 4 * LONG));
        assert!(spare.take(3 * LONG).is_none());
        assert_eq!(spare.size, 10 * LONG);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut spare = none();
        for _ in 0..5 {
            spare.give_back(vec![2; KEPT / 4]);
        }
        assert_eq!((spare.kept.len(), spare.size), (4, KEPT));
        spare.give_back(Vec::with_capacity(LONG));
        assert_eq!(spare.size, KEPT);
    }

    #[test]
    fn short_memory_and_that_of_long_messages_begin_empty() {
        drop(Memory::from(vec![3; 2 * LONG]));
        for capacity in [0, 100, 2 * LONG] {
            let memory = Memory::with_capacity(capacity);
            assert!(memory.is_empty() && memory.capacity() >= capacity);
        }
    }
}
