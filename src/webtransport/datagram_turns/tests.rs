//! Turns of datagrams beside streams.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::*;
use crate::hub::testing::Ear;
use crate::webtransport::limits::{Role, Shares};
use crate::webtransport::outgoing_datagrams::Outgoing;
use crate::webtransport::task::Http3;
use crate::webtransport::task::tests::{Pair, pair};
use crate::webtransport::turnstile::PIECE;

const BYTES: u64 = PIECE as u64;

fn place(order: i64) -> Place {
    Place { group: 0, order }
}

fn taken() -> Poll<(u64, ())> {
    Poll::Ready((BYTES, ()))
}

/// A session in which turns are taken, and on which nothing is sent.
async fn session() -> (Arc<Session>, Pair, Ear) {
    let (pair, ear) = (pair().await, Ear::new());
    let (http3, _requests) = Http3::new(pair.client.clone(), Role::Client, Shares::ALONE);
    let session = http3.session(0, ear.port(1));
    session.turnstile.moved(Place::default(), place(1));
    (session, pair, ear)
}

fn write_datagram(session: &Session, place: Place) {
    write_datagram_of(session, place, Instant::now());
}

fn write_datagram_of(session: &Session, place: Place, since: Instant) {
    let datagram = Outgoing {
        bytes: bytes::Bytes::from_static(&[0; 1000]),
        since,
        place,
        writable: 1,
    };
    assert!(session.datagrams.send(datagram));
}

fn send_first(session: &Session, place: Place) {
    let first = session.datagrams.take_first(place).expect("one of that place waits");
    session.datagrams.sent(first.writable);
}

/// The datagram whose turn it is now, which is sent then.
fn datagram(session: &Session, turns: &mut DatagramTurns<'_>) -> Option<Place> {
    let place = turns.next().now_or_never().flatten()?;
    send_first(session, place);
    turns.rest();
    Some(place)
}

#[tokio::test]
async fn datagrams_wait_for_streams_of_a_higher_order_and_go_before_those_of_a_lower_one() {
    let (session, _pair, _ear) = session().await;
    let mut turns = DatagramTurns::new(&session);
    let mut stream = session.turnstile.enter(place(5), Arc::default());
    let mut write = || session.turnstile.poll_write(&mut stream, place(5), taken).is_ready();
    assert!(write(), "nobody else waits");
    for order in [4, 6, 5] {
        write_datagram(&session, place(order));
    }
    assert_eq!(datagram(&session, &mut turns), Some(place(6)));
    // Those of the same order take turns.
    assert_eq!(datagram(&session, &mut turns), None);
    assert!(write());
    assert_eq!(datagram(&session, &mut turns), Some(place(5)));
    assert!(write());
    assert_eq!(datagram(&session, &mut turns), None);
    assert!(write() && write());
    assert_eq!(datagram(&session, &mut turns), None);
    session.turnstile.leave(&stream);
    assert_eq!(datagram(&session, &mut turns), Some(place(4)));
    assert_eq!(datagram(&session, &mut turns), None);
}

#[tokio::test]
async fn datagrams_of_a_group_share_with_the_streams_of_another() {
    let (session, _pair, _ear) = session().await;
    let mut turns = DatagramTurns::new(&session);
    let other = Place { group: 2, order: -1 };
    let mut stream = session.turnstile.enter(place(5), Arc::default());
    let mut sent = 0;
    for _ in 0..10 {
        assert!(session.turnstile.poll_write(&mut stream, place(5), taken).is_ready());
        // As many bytes as the stream's piece, whatever the orders.
        for _ in 0..2 * PIECE / 1000 {
            write_datagram(&session, other);
        }
        while datagram(&session, &mut turns).is_some() {
            sent += 1000;
        }
        session.datagrams.hand_over(|_| true);
    }
    assert!(u64::abs_diff(sent, 10 * BYTES) <= 2 * BYTES, "{sent} bytes");
}

#[tokio::test]
async fn the_bell_of_the_datagrams_rings_when_the_higher_stream_rests() {
    let (session, _pair, _ear) = session().await;
    let mut turns = DatagramTurns::new(&session);
    let mut stream = session.turnstile.enter(place(5), Arc::default());
    assert!(session.turnstile.poll_write(&mut stream, place(5), taken).is_ready());
    write_datagram(&session, place(4));
    let resting = async { session.turnstile.rest(&stream) };
    let (next, ()) = tokio::join!(biased; turns.next(), resting);
    assert_eq!(next, Some(place(4)));
}

#[tokio::test]
async fn who_has_no_datagrams_any_more_holds_nobody() {
    let (session, _pair, _ear) = session().await;
    session.datagrams.set_outgoing_max_age(Some(Duration::from_secs(60)));
    let mut turns = DatagramTurns::new(&session);
    let mut stream = session.turnstile.enter(place(5), Arc::default());
    let mut write = || session.turnstile.poll_write(&mut stream, place(5), taken).is_ready();
    for _ in 0..2 {
        write_datagram(&session, place(6));
        assert_eq!(turns.next().await, Some(place(6)));
        assert!(!write(), "it waits for QUIC now, or is sent in the same go");
        send_first(&session, place(6));
        assert_eq!(turns.next().now_or_never(), None);
        assert!(write());
    }
    // One that becomes too old before anybody looks.
    let old = Instant::now().checked_sub(Duration::from_secs(61));
    write_datagram_of(&session, place(7), old.expect("it runs for longer"));
    assert_eq!(turns.next().now_or_never(), None);
    assert!(write());
}
