//! Streams that a peer opens only to give them up.

use quinn::{RecvStream, VarInt};

use super::tests::{Pair, pair, send};
use super::*;
use crate::webtransport::streams::{ReceiveEnd, Streams, Tell};

/// A stream of the client as the server's script would get it.
async fn arrived(pair: &Pair, streams: &Streams, direction: Direction) -> (Option<SendStream>, Option<RecvStream>) {
    let (send, receive, stream) = match direction {
        Direction::Unidirectional => {
            let send = send(&pair.client, &[1]).await;
            let receive = pair.server.accept_uni().await.expect("lives");
            (send, None, (None, receive))
        }
        Direction::Bidirectional => {
            let (mut send, receive) = pair.client.open_bi().await.expect("opens");
            send.write_all(&[1]).await.expect("takes");
            let (far_send, far_receive) = pair.server.accept_bi().await.expect("lives");
            (send, Some(receive), (Some(far_send), far_receive))
        }
    };
    let (far_send, far_receive) = stream;
    let stream = Stream {
        send: far_send.map(|stream| SendHalf {
            stream,
            header: Bytes::new(),
            slot: None,
        }),
        receive: Some(ReceiveHalf::new(far_receive, Bytes::new())),
    };
    assert_eq!(streams.arrived(direction, stream), Tell::No);
    (Some(send), receive)
}

const CODE: VarInt = VarInt::from_u32(7);

#[tokio::test]
async fn a_stream_that_is_given_up_before_it_is_taken_is_dropped() {
    for direction in [Direction::Unidirectional, Direction::Bidirectional] {
        let pair = pair().await;
        let streams = Streams::default();
        let (send, receive) = arrived(&pair, &streams, direction).await;
        let _kept = arrived(&pair, &streams, direction).await;
        send.expect("ours").reset(CODE).expect("open");
        if let Some(mut receive) = receive {
            receive.stop(CODE).expect("open");
        }
        assert_eq!(streams.given_up().await.len(), 1);
        assert!(streams.accept(direction).is_some(), "the other is still there");
        assert!(streams.accept(direction).is_none());
    }
}

#[tokio::test]
async fn more_streams_than_may_be_open_are_given_up_with_nobody_looking() {
    let pair = pair().await;
    let streams = Arc::new(Streams::default());
    let dropping = streams.clone();
    tokio::spawn(async move {
        loop {
            drop(dropping.given_up().await);
        }
    });
    // quinn lets a peer have 100 open at first.
    for _ in 0..300 {
        let (send, _) = arrived(&pair, &streams, Direction::Unidirectional).await;
        send.expect("ours").reset(CODE).expect("open");
    }
}

#[tokio::test]
async fn a_half_that_is_given_up_is_left_to_the_script_with_its_code() {
    let pair = pair().await;
    let streams = Streams::default();
    let (send, _receive) = arrived(&pair, &streams, Direction::Bidirectional).await;
    send.expect("ours").reset(CODE).expect("open");
    let (given_up, _) = arrived(&pair, &streams, Direction::Unidirectional).await;
    given_up.expect("ours").reset(CODE).expect("open");
    // The unidirectional stream came later: by now the half has been seen as well.
    assert_eq!(streams.given_up().await.len(), 1);
    let half = streams
        .accept(Direction::Bidirectional)
        .and_then(|stream| stream.receive)
        .expect("is there");
    assert_eq!(half.end, Some(ReceiveEnd::Reset(CODE)));
}

#[tokio::test]
async fn what_has_come_before_the_script_looks_is_there_for_it() {
    let pair = pair().await;
    let streams = Streams::default();
    let (send, _) = arrived(&pair, &streams, Direction::Unidirectional).await;
    send.expect("ours").finish().expect("open");
    let (given_up, _) = arrived(&pair, &streams, Direction::Unidirectional).await;
    given_up.expect("ours").reset(CODE).expect("open");
    assert_eq!(streams.given_up().await.len(), 1);
    let half = streams
        .accept(Direction::Unidirectional)
        .and_then(|stream| stream.receive)
        .expect("is there");
    assert_eq!((&half.first[..], half.end), (&[1][..], Some(ReceiveEnd::Finished)));
}

#[tokio::test]
async fn a_flood_of_streams_that_are_given_up_ends_the_connection() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    let serving = tokio::spawn(http3.serve());
    let mut count = 0;
    let error = loop {
        let mut stream = match pair.client.open_uni().await {
            Ok(stream) => stream,
            Err(error) => break error,
        };
        // Half a stream's type, so that nobody can know what it was for.
        if let Err(quinn::WriteError::ConnectionLost(error)) = stream.write_all(&[0x40]).await {
            break error;
        }
        stream.reset(CODE).expect("open");
        count += 1;
    };
    let ConnectionError::ApplicationClosed(close) = error else {
        panic!("closed otherwise")
    };
    assert_eq!(close.error_code.into_inner(), ErrorCode::H3_EXCESSIVE_LOAD.0);
    assert!(count >= 1024, "{count} were allowed");
    assert!(matches!(serving.await.expect("no panic"), End::Violation(_)));
}
