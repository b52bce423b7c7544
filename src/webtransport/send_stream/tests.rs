//! A stream that waits for its turn.

use futures_util::FutureExt;

use super::*;
use crate::hub::testing::Ear;
use crate::webtransport::http3::stream_header::encode_unidirectional;
use crate::webtransport::limits::{Role, Shares};
use crate::webtransport::task::Http3;
use crate::webtransport::task::tests::pair;

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
    let queue = Arc::new(SendQueue::new(header.clone()));
    assert!(queue.write(Bytes::from_static(b"later")));
    let task = Task {
        stream: session.connection.open_uni().await.expect("a stream"),
        queue,
        session: session.clone(),
        port: ear.port(2),
        header: header.len(),
        _slot: None,
        held: Held::default(),
        turn: None,
    };
    let running = tokio::spawn(task.run());
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
