//! GOAWAY, sent and received, with a raw peer.

use quinn::{RecvStream, VarInt};

use super::tests::{Pair, pair, send};
use super::*;
use crate::webtransport::http3::frame::{self, Carrier, Frame, FrameDecoder};
use crate::webtransport::http3::stream_header;

const SETTINGS: &[u8] = &[0, 4, 0];

/// Reads the server's control stream up to its GOAWAY.
async fn goaway(pair: &Pair) -> (u64, RecvStream) {
    let mut stream = pair.client.accept_uni().await.expect("serves");
    let mut decoder = FrameDecoder::new(Carrier::Control);
    let mut input = Bytes::new();
    let mut header = stream_header::OUR_CONTROL.len();
    loop {
        while let Some(frame) = decoder.decode(&mut input).expect("sound") {
            if let Frame::Goaway(id) = frame {
                return (id, stream);
            }
        }
        input = stream
            .read_chunk(4096, true)
            .await
            .expect("lives")
            .expect("stays open")
            .bytes;
        input = input.split_off(std::mem::take(&mut header));
    }
}

#[tokio::test]
async fn a_server_that_goes_away_refuses_the_requests_to_come() {
    let pair = pair().await;
    let (http3, mut requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.clone().serve());
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = pair.client.open_bi().await.expect("opens");
        stream.0.write_all(&frame::headers(b"fields")).await.expect("takes");
        open.push((stream, requests.recv().await.expect("serves")));
    }
    http3.go_away();
    http3.go_away();
    let (from, _control) = goaway(&pair).await;
    // No stream is above it.
    assert_eq!(from, (1 << 62) - 4);
    let (mut asking, mut answer) = pair.client.open_bi().await.expect("opens");
    asking.write_all(&frame::headers(b"fields")).await.expect("takes");
    let rejected = VarInt::from_u64(ErrorCode::H3_REQUEST_REJECTED.0).expect("small");
    assert_eq!(asking.stopped().await.expect("lives"), Some(rejected));
    assert!(matches!(answer.read(&mut [0]).await, Err(quinn::ReadError::Reset(code)) if code == rejected));
    // Those before it live.
    let ((mut asking, _answer), mut asked) = open.remove(0);
    asking.write_all(&frame::data(b"x")).await.expect("takes");
    assert!(matches!(asked.next().await, Ok(Some(Frame::Headers(_)))));
    assert!(matches!(asked.next().await, Ok(Some(Frame::Data(_)))));
}

#[tokio::test]
async fn a_client_hears_from_which_request_on_none_is_looked_at() {
    let pair = pair().await;
    let (http3, _no_requests) = Http3::new(pair.client.clone(), Role::Client, Shares::ALONE);
    tokio::spawn(http3.clone().serve());
    let mut control = send(&pair.server, SETTINGS).await;
    control.write_all(&frame::goaway(8)).await.expect("takes");
    http3.excluded(8).await;
    assert!(!http3.goaway().excludes(4));
    control.write_all(&frame::goaway(0)).await.expect("takes");
    http3.excluded(0).await;
}

#[tokio::test]
async fn a_goaway_that_cannot_be_ends_the_connection() {
    for ids in [&[2][..], &[4, 8]] {
        let pair = pair().await;
        let (http3, _no_requests) = Http3::new(pair.client.clone(), Role::Client, Shares::ALONE);
        tokio::spawn(http3.serve());
        let frames: Vec<u8> = ids.iter().flat_map(|id| frame::goaway(*id)).collect();
        let _control = send(&pair.server, &[SETTINGS, &frames].concat()).await;
        let ConnectionError::ApplicationClosed(close) = pair.server.closed().await else {
            panic!("closed otherwise")
        };
        assert_eq!(close.error_code.into_inner(), ErrorCode::H3_ID_ERROR.0);
    }
}
