//! Streams that come before their session is granted, and after its end.

use quinn::{ReadError, RecvStream, VarInt};

use super::tests::{Pair, pair};
use super::*;
use crate::hub::testing::Ear;
use crate::webtransport::http3::stream_header;
use crate::webtransport::limits::EARLY_STREAMS;

const DIRECTIONS: [Direction; 2] = [Direction::Unidirectional, Direction::Bidirectional];
const REJECTED: ErrorCode = ErrorCode::WT_BUFFERED_STREAM_REJECTED;
const GONE: ErrorCode = ErrorCode::WT_SESSION_GONE;

/// A server and its raw client.
struct Served {
    pair: Pair,
    http3: Arc<Http3>,
    ear: Ear,
}

/// A stream as its client sees it.
struct Near(SendStream, Option<RecvStream>);

impl Near {
    /// The server refuses it with this code, both ways.
    async fn ends_refused(mut self, code: ErrorCode) {
        let code = varint(code);
        assert_eq!(self.0.stopped().await, Ok(Some(code)));
        if let Some(receive) = &mut self.1 {
            assert_eq!(receive.read_to_end(1).await, Err(ReadError::Reset(code).into()));
        }
    }
}

impl Served {
    async fn new() -> Self {
        let pair = pair().await;
        let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
        tokio::spawn(http3.clone().serve());
        let ear = Ear::new();
        Self { pair, http3, ear }
    }

    /// A stream of the client's for this session.
    async fn open(&self, direction: Direction, session_id: u64, body: &str) -> Near {
        let (header, mut stream) = match direction {
            Direction::Unidirectional => {
                let send = self.pair.client.open_uni().await.expect("opens");
                (stream_header::encode_unidirectional(session_id), Near(send, None))
            }
            Direction::Bidirectional => {
                let (send, receive) = self.pair.client.open_bi().await.expect("opens");
                (
                    stream_header::encode_bidirectional(session_id),
                    Near(send, Some(receive)),
                )
            }
        };
        let bytes = [&header, body.as_bytes()].concat();
        stream.0.write_all(&bytes).await.expect("takes");
        stream
    }

    /// As many streams as may wait for their session do.
    async fn fill(&self, direction: Direction, session_id: u64) -> Vec<Near> {
        let mut streams = Vec::new();
        for index in 0..EARLY_STREAMS {
            streams.push(self.open(direction, session_id, &format!("stream {index}")).await);
        }
        // They come in order.
        let late = self.open(direction, session_id, "").await;
        late.ends_refused(REJECTED).await;
        streams
    }

    fn enter(&self, session_id: u64) -> Arc<Session> {
        let session = self.http3.session(session_id, self.ear.port(1));
        self.http3.enter(&session).expect("there is room");
        session
    }
}

#[tokio::test]
async fn streams_that_come_before_their_session_are_there_with_it_in_order() {
    for direction in DIRECTIONS {
        let served = Served::new().await;
        let _early = served.fill(direction, 0).await;
        let session = served.enter(0);
        for index in 0..EARLY_STREAMS {
            let stream = session.streams.accept(direction).expect("has come");
            assert_eq!(stream.send.is_some(), direction == Direction::Bidirectional);
            let mut half = stream.receive.expect("the peer sends");
            half.look_ahead();
            assert_eq!(half.first, format!("stream {index}"));
        }
        assert!(session.streams.accept(direction).is_none());
        // Others may wait for another session now.
        let _others = served.fill(direction, 4).await;
    }
}

#[tokio::test]
async fn streams_of_a_session_that_is_refused_are_refused() {
    for direction in DIRECTIONS {
        let served = Served::new().await;
        let early = served.fill(direction, 0).await;
        served.http3.refuse(0);
        for stream in early {
            stream.ends_refused(REJECTED).await;
        }
        served.open(direction, 0, "late").await.ends_refused(GONE).await;
    }
}

#[tokio::test]
async fn streams_of_a_session_that_has_lived_hear_that_it_is_gone() {
    for direction in DIRECTIONS {
        let served = Served::new().await;
        let early = served.fill(direction, 0).await;
        let session = served.enter(0);
        // Those that no script has taken end with it.
        session.end(Duration::ZERO).await;
        for stream in early {
            stream.ends_refused(GONE).await;
        }
        // So do those that come while the peer takes note of it, and after that.
        served.open(direction, 0, "late").await.ends_refused(GONE).await;
        served.http3.leave(&session);
        served.open(direction, 0, "later").await.ends_refused(GONE).await;
    }
}

#[tokio::test]
async fn half_a_stream_that_its_peer_has_given_up_is_no_reason_to_drop_the_other() {
    const CODE: VarInt = VarInt::from_u32(7);
    let served = Served::new().await;
    let mut early = served.fill(Direction::Bidirectional, 0).await;
    let Near(send, Some(receive)) = &mut early[0] else {
        unreachable!("it is bidirectional")
    };
    send.reset(CODE).expect("open");
    let session = served.enter(0);
    let stream = session.streams.accept(Direction::Bidirectional).expect("has come");
    let mut given_up = stream.receive.expect("the peer sends").stream;
    assert_eq!(given_up.read_to_end(100).await, Err(ReadError::Reset(CODE).into()));
    let mut other = stream.send.expect("bidirectional").stream;
    other.write_all(b"answer").await.expect("takes");
    other.finish().expect("open");
    assert_eq!(receive.read_to_end(100).await.expect("ends"), b"answer");
}
