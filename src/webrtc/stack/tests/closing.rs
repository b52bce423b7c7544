//! How channels and connections end.

use super::*;

#[test]
fn closing_sends_what_is_queued_and_tells_both_ends() {
    let mut pair = connected(Box::new(|_| false));
    for _ in 0..100 {
        pair.a.stack.send(1, MessageKind::Binary, Bytes::from(vec![7; 10_000]));
    }
    pair.a.stack.close_channel(1);
    let closed = StackEvent::ChannelClosed {
        id: 1,
        closed: Closed::Finished,
    };
    assert!(pair.run(Duration::from_secs(10), |pair| {
        pair.a.has(|event| *event == closed) && pair.b.has(|event| *event == closed)
    }));
    assert_eq!(pair.b.messages.len(), 100);
    assert!(pair.b.has(|event| *event == StackEvent::ChannelClosing(1)));
    // The id can be used again.
    pair.open(true, 1, labelled("again"));
    pair.a.stack.send(1, MessageKind::Text, Bytes::from_static(b"again"));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.b.messages.len() == 101));
}

#[test]
fn closing_while_the_peer_floods_leaves_the_association_usable() {
    let mut pair = connected(Box::new(|_| false));
    pair.open(true, 3, labelled("other"));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.b.is_open(3)));
    pair.a.stack.pause_channel(1);
    for _ in 0..1000 {
        pair.b.stack.send(1, MessageKind::Binary, Bytes::from(vec![7; 10_000]));
    }
    // The window is full of unread messages when the channel is closed.
    pair.run(Duration::from_millis(200), |_| false);
    assert!(pair.a.messages.is_empty());
    pair.a.stack.close_channel(1);
    let closed = StackEvent::ChannelClosed {
        id: 1,
        closed: Closed::Finished,
    };
    assert!(pair.run(Duration::from_secs(20), |pair| {
        pair.a.has(|event| *event == closed) && pair.b.has(|event| *event == closed)
    }));
    for _ in 0..50 {
        pair.b.stack.send(3, MessageKind::Binary, Bytes::from(vec![8; 10_000]));
    }
    assert!(
        pair.run(Duration::from_secs(20), |pair| pair.a.messages.len() == 50),
        "{}",
        pair.a.messages.len()
    );
    assert!(pair.a.messages.iter().all(|(id, ..)| *id == 3));
}

#[test]
fn closing_reaches_the_peer_at_once() {
    let mut pair = connected(Box::new(|_| false));
    pair.a
        .stack
        .send(1, MessageKind::Text, Bytes::from_static(b"last words"));
    let now = pair.now;
    pair.a.stack.close(now);
    assert!(pair.run(LATENCY * 4, |pair| pair.b.has(|event| *event == StackEvent::DtlsClosed)));
    assert_eq!(pair.b.messages.len(), 1);
    assert!(pair.b.has(|event| *event
        == StackEvent::ChannelClosed {
            id: 1,
            closed: Closed::Transport
        }));
    assert!(pair.b.has(|event| *event == StackEvent::SctpClosed));
}
