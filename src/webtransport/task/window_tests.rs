//! What a peer can make us hold when nobody reads, and when it acknowledges nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tests::pair_with;
use super::*;
use crate::webtransport::limits;

/// The window of a connection, as docs/divergence.md and SECURITY promise it.
const WINDOW: u64 = 16 * 1024 * 1024;
const STREAMS: usize = limits::CONCURRENT_STREAMS as usize;
/// More than all windows together, on each stream.
const EACH: usize = 2 * 1024 * 1024;

#[tokio::test]
async fn a_peer_that_fills_every_stream_is_stopped_at_the_connections_window() {
    let pair = pair_with(limits::transport(Role::Server, 30_000)).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(pair.client.open_uni().await.expect("allowed"));
        streams.push(pair.client.open_bi().await.expect("allowed").0);
    }
    // No further one is allowed.
    tokio::select! {
        biased;
        _stream = pair.client.open_uni() => panic!("more streams than the limit"),
        _stream = pair.client.open_bi() => panic!("more streams than the limit"),
        () = std::future::ready(()) => {}
    }
    let taken = Arc::new(AtomicU64::new(0));
    let (full, mut filled) = mpsc::channel(1);
    for mut stream in streams {
        let (taken, full) = (taken.clone(), full.clone());
        tokio::spawn(async move {
            let chunk = vec![0; 4096];
            for _ in 0..EACH / chunk.len() {
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let written = stream.write(rest).await.expect("lives");
                    rest = &rest[written..];
                    if taken.fetch_add(written as u64, Ordering::SeqCst) + written as u64 >= WINDOW {
                        full.send(()).await.expect("waited for");
                    }
                }
            }
        });
    }
    filled.recv().await.expect("the window is given out whole");
    // The connection is not stuck: the other direction goes on, many times over, and these streams do not meanwhile.
    for _ in 0..50 {
        let mut stream = pair.server.open_uni().await.expect("allowed");
        stream.write_all(b"there and acknowledged").await.expect("takes");
        stream.finish().expect("open");
        stream.stopped().await.expect("lives");
        drop(pair.client.accept_uni().await.expect("lives"));
    }
    assert_eq!(taken.load(Ordering::SeqCst), WINDOW);
}

/// How much a stream takes before it stops.
fn fill(stream: &mut SendStream, most: usize) -> usize {
    let mut taken = 0;
    while taken < most {
        match stream.write(&vec![0; most - taken]).now_or_never() {
            Some(written) => taken += written.expect("lives"),
            None => break,
        }
    }
    taken
}

#[tokio::test]
async fn the_windows_that_a_server_sets_are_those_that_its_client_gets() {
    const STREAM: u32 = 20_000;
    const CONNECTION: u32 = 50_000;
    let limits = limits::ConnectionLimits {
        streams: 5,
        unread_stream_bytes: STREAM,
        unread_bytes: CONNECTION,
        queued_bytes: limits::QUEUED_BYTES,
        idle_timeout: Duration::from_secs(30),
        keep_alive_interval: None,
    };
    let pair = pair_with(limits.transport()).await;
    let opened = |stream: Result<SendStream, ConnectionError>| stream.expect("lives");
    let mut streams: Vec<_> = std::iter::from_fn(|| pair.client.open_uni().now_or_never().map(opened)).collect();
    let taken: Vec<_> = streams.iter_mut().map(|stream| fill(stream, 100_000)).collect();
    assert_eq!(taken, [20_000, 20_000, 10_000, 0, 0]);
}

#[tokio::test]
async fn what_a_server_queues_for_a_client_that_acknowledges_nothing_is_what_it_sets() {
    const QUEUED: u32 = 30_000;
    let limits = limits::ConnectionLimits {
        streams: 16,
        unread_stream_bytes: 1_250_000,
        unread_bytes: 16 * 1024 * 1024,
        queued_bytes: QUEUED,
        idle_timeout: Duration::from_secs(30),
        keep_alive_interval: None,
    };
    let pair = pair_with(limits.transport()).await;
    let mut streams = [pair.server.open_uni().await, pair.server.open_uni().await].map(|stream| stream.expect("opens"));
    // Nobody else runs meanwhile: no acknowledgement comes.
    let taken = streams.each_mut().map(|stream| fill(stream, 100_000));
    assert_eq!(taken, [30_000, 0]);
}
