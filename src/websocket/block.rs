//! Memory that is read into: it serves again when nobody has a piece of it any more.
//!
//! Fresh memory is mapped and cleared by the system page by page as it is touched, which costs more than to copy the
//! message.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::BytesMut;

/// What a thread keeps, in bytes: more than one connection may have undelivered, so that it reads on in turns.
const KEPT: usize = 2 * 1024 * 1024;

thread_local! {
    static BLOCKS: RefCell<Blocks> = RefCell::default();
}

/// What was given back, oldest first; pieces of it may still be on their way to a script.
#[derive(Default)]
struct Blocks {
    kept: VecDeque<(usize, BytesMut)>,
    size: usize,
}

/// An empty block of this capacity, perhaps one that was given back.
pub(super) fn take(capacity: usize) -> BytesMut {
    BLOCKS.with_borrow_mut(|blocks| {
        // Of its own size only: a short message must not hold a long block.
        let free = blocks
            .kept
            .iter_mut()
            .position(|(of, block)| *of == capacity && block.try_reclaim(capacity));
        match free.and_then(|index| blocks.kept.remove(index)) {
            Some((of, block)) => {
                blocks.size -= of;
                block
            }
            None => BytesMut::with_capacity(capacity),
        }
    })
}

/// Gives back what is left of a block that `take` gave with this capacity.
pub(super) fn give_back(capacity: usize, mut rest: BytesMut) {
    rest.clear();
    BLOCKS.with_borrow_mut(|blocks| {
        blocks.size += capacity;
        blocks.kept.push_back((capacity, rest));
        while blocks.size > KEPT
            && let Some((of, _)) = blocks.kept.pop_front()
        {
            blocks.size -= of;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_serves_again_when_its_pieces_are_gone() {
        const SIZE: usize = 64 * 1024;
        let mut block = take(SIZE);
        block.extend_from_slice(&[1; SIZE]);
        let piece = block.split().freeze();
        let place = piece.as_ptr();
        give_back(SIZE, block);
        let other = take(SIZE);
        assert_ne!(other.as_ptr(), place, "the piece still counts");
        drop(piece);
        let again = take(SIZE);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(again.capacity() >= SIZE);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let blocks: Vec<BytesMut> = (0..5).map(|_| take(KEPT / 4)).collect();
        for mut block in blocks {
            block.extend_from_slice(&[2]);
            drop(block.split());
            give_back(KEPT / 4, block);
        }
        BLOCKS.with_borrow(|blocks| assert_eq!((blocks.kept.len(), blocks.size), (4, KEPT)));
    }
}
