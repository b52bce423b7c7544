//! Streams that do not say what they are for: never, or only in part.

use quinn::VarInt;

use super::tests::{Pair, pair, send};
use super::*;
use crate::webtransport::http3::stream_header;
use crate::webtransport::limits::{EARLY_STREAMS, STREAM_HEADER_TIMEOUT};

async fn serve() -> Pair {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.serve());
    pair
}

/// The server still looks at streams: of those that come before their session one too many is refused.
async fn is_served(pair: &Pair, session_id: u64) {
    let header = stream_header::encode_unidirectional(session_id);
    for _ in 0..EARLY_STREAMS {
        send(&pair.client, &header).await.finish().expect("open");
    }
    let late = send(&pair.client, &header).await;
    let rejected = varint(ErrorCode::WT_BUFFERED_STREAM_REJECTED);
    assert_eq!(late.stopped().await, Ok(Some(rejected)));
}

#[tokio::test]
async fn a_stream_that_never_says_what_it_is_for_is_dropped_when_its_time_is_up() {
    // Nothing, half a type, a type without its session's number, half of that.
    for bytes in [&[][..], &[0x40], &[0x40, 0x54], &[0x40, 0x54, 0x80, 0]] {
        let pair = serve().await;
        // From here on time passes as soon as nobody has anything to do.
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let mut stream = pair.client.open_uni().await.expect("opens");
        stream.write_all(bytes).await.expect("takes");
        if bytes.is_empty() {
            // QUIC tells the peer of a stream with its first byte, or with a later stream of its kind.
            let _later = send(&pair.client, &[0x21]).await;
        }
        assert_eq!(stream.stopped().await, Ok(Some(VarInt::from_u32(0))), "{bytes:?}");
        assert!(began.elapsed() >= STREAM_HEADER_TIMEOUT);
        is_served(&pair, 400).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_bidirectional_stream_that_never_says_what_it_is_for_is_dropped_both_ways() {
    for bytes in [&[0x40][..], &[0x40, 0x41], &[0x40, 0x41, 0xc0]] {
        let pair = serve().await;
        tokio::time::pause();
        let (mut send, mut receive) = pair.client.open_bi().await.expect("opens");
        send.write_all(bytes).await.expect("takes");
        assert_eq!(send.stopped().await, Ok(Some(VarInt::from_u32(0))), "{bytes:?}");
        assert_eq!(receive.read_to_end(1).await.expect("ends"), b"");
        is_served(&pair, 400).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_it_has_said_what_it_is_for_is_dropped() {
    for bytes in [&[][..], &[0x40], &[0x40, 0x54], &[0x40, 0x54, 0x80, 0]] {
        let pair = serve().await;
        let mut stream = send(&pair.client, bytes).await;
        stream.finish().expect("open");
        assert_eq!(stream.stopped().await, Ok(None), "{bytes:?}");
        let (mut send, mut receive) = pair.client.open_bi().await.expect("opens");
        send.write_all(&bytes[..bytes.len().min(1)]).await.expect("takes");
        send.finish().expect("open");
        assert_eq!(receive.read_to_end(1).await.expect("ends"), b"");
        is_served(&pair, 400).await;
    }
}

#[tokio::test]
async fn a_flood_of_streams_that_say_nothing_ends_the_connection() {
    let pair = serve().await;
    let mut count = 0;
    let error = loop {
        let mut stream = match pair.client.open_uni().await {
            Ok(stream) => stream,
            Err(error) => break error,
        };
        if let Err(quinn::WriteError::ConnectionLost(error)) = stream.write_all(&[0x40]).await {
            break error;
        }
        stream.finish().expect("open");
        count += 1;
    };
    let ConnectionError::ApplicationClosed(close) = error else {
        panic!("closed otherwise")
    };
    assert_eq!(close.error_code, varint(ErrorCode::H3_EXCESSIVE_LOAD));
    assert!(count >= 1024, "{count} were allowed");
}
