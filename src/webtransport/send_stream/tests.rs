//! Streams that wait for their turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::*;
use crate::hub::testing::Ear;
use crate::webtransport::http3::stream_header::encode_unidirectional;
use crate::webtransport::limits::{Role, Shares};
use crate::webtransport::task::Http3;
use crate::webtransport::task::tests::pair;

/// The task of a stream, to which `queue` has been written behind its header.
async fn task(session: &Arc<Session>, ear: &Ear, header: usize, queue: SendQueue) -> Task {
    Task {
        stream: session.connection.open_uni().await.expect("a stream"),
        queue: Arc::new(queue),
        session: session.clone(),
        port: ear.port(2),
        header,
        _slot: None,
        held: Held::default(),
        turn: None,
    }
}

#[tokio::test]
async fn a_stream_says_what_it_is_for_before_its_turn() {
    let (pair, ear) = (pair().await, Ear::new());
    let (http3, _requests) = Http3::new(pair.client.clone(), Role::Client, Shares::ALONE);
    let session = http3.session(0, ear.port(1));
    let high = Place { group: 0, order: 1 };
    session.turnstile.moved(Place::default(), high);
    let mut first = session.turnstile.enter(high, Arc::default());
    // It goes on and on.
    let written = session.turnstile.poll_write(&mut first, high, || Poll::Ready((1, ())));
    assert!(written.is_ready());
    let header = Bytes::from(encode_unidirectional(0));
    let queue = SendQueue::new(header.clone());
    assert!(queue.write(Bytes::from_static(b"later")));
    let running = tokio::spawn(task(&session, &ear, header.len(), queue).await.run());
    let mut there = pair.server.accept_uni().await.expect("the stream");
    let mut bytes = vec![0; header.len()];
    there.read_exact(&mut bytes).await.expect("the header");
    assert_eq!(bytes, header);
    let mut bytes = [0; 5];
    assert!(there.read_exact(&mut bytes).now_or_never().is_none());
    session.turnstile.rest(&first);
    there.read_exact(&mut bytes).await.expect("the rest");
    assert_eq!(&bytes, b"later");
    running.abort();
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn streams_that_find_no_room_try_again_when_there_is_and_not_before() {
    const LENGTH: usize = 1 << 20;
    let (pair, ear) = (pair().await, Ear::new());
    let (http3, _requests) = Http3::new(pair.client.clone(), Role::Client, Shares::ALONE);
    let session = http3.session(0, ear.port(1));
    let mut streams = FuturesUnordered::new();
    for order in [1, 2, 3] {
        let queue = SendQueue::new(Bytes::new());
        queue.write(Bytes::from_static(&[0; LENGTH]));
        queue.end(End::Finish);
        queue.set_place(Place { group: 0, order }, &session);
        streams.push(task(&session, &ear, 0, queue).await.run());
    }
    // As long as nobody else runs nothing is sent, and there is no more room.
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut polls = 0;
    while woken.0.swap(false, Ordering::Relaxed) {
        assert!(streams.poll_next_unpin(&mut context).is_pending());
        polls += 1;
        assert!(polls < 100, "they wake each other on and on");
    }
    let read = async {
        for _ in 0..3 {
            let mut stream = pair.server.accept_uni().await.expect("a stream");
            assert_eq!(stream.read_to_end(LENGTH).await.expect("all of it").len(), LENGTH);
        }
    };
    let ((), ()) = tokio::join!(read, async { while streams.next().await.is_some() {} });
}
