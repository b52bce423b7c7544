//! Turns of streams.

use super::*;
use crate::webtransport::task::tests::pair;

const BYTES: u64 = PIECE as u64;

fn place(order: i64) -> Place {
    Place { group: 0, order }
}

fn taken() -> Poll<(u64, ())> {
    Poll::Ready((BYTES, ()))
}

#[tokio::test]
async fn who_goes_before_a_higher_order_pauses_after_one_piece() {
    let pair = pair().await;
    let turnstile = Turnstile::new(Arc::new(Underlying::new(pair.client.clone())));
    let [mut low, mut high] = [1, 2].map(|order| turnstile.enter(place(order), Arc::default()));
    assert!(turnstile.poll_write(&mut low, place(1), taken).is_ready());
    assert!(!low.must_pause(), "nobody else waits");
    // QUIC has no room for the higher order, and gets some before the lower one looks.
    let full = || Poll::<(u64, ())>::Pending;
    assert!(turnstile.poll_write(&mut high, place(2), full).is_pending());
    assert!(turnstile.poll_write(&mut low, place(1), taken).is_ready());
    assert!(low.must_pause());
    // QUIC has woken the higher order, which goes on.
    assert!(turnstile.poll_write(&mut high, place(2), taken).is_ready());
    assert!(!high.must_pause());
    let out_of_turn = || unreachable!("the higher order still waits");
    let outcome: Poll<()> = turnstile.poll_write(&mut low, place(1), out_of_turn);
    assert!(outcome.is_pending());
    assert!(!low.must_pause());
}
