//! What a peer can make us hold when nobody reads.

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
