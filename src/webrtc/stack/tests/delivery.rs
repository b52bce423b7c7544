//! What data channels promise about messages.

use super::*;

#[test]
fn opens_and_delivers_under_loss() {
    for percent in [5, 20] {
        for seed in 0..10 {
            let mut pair = connected(losing(percent, 1000 * percent + seed));
            let messages: Vec<Bytes> = (0..40u8)
                .map(|n| Bytes::from(vec![n; 1 + usize::from(n) * 500]))
                .collect();
            for message in &messages {
                pair.a.stack.send(1, MessageKind::Binary, message.clone());
                pair.b.stack.send(1, MessageKind::Text, message.clone());
            }
            let limit = Duration::from_secs(600);
            let done = pair.run(limit, |pair| pair.a.messages.len() == 40 && pair.b.messages.len() == 40);
            assert!(
                done,
                "{percent} %, seed {seed}: {} {} {:?}",
                pair.a.messages.len(),
                pair.b.messages.len(),
                pair.a
                    .events
                    .iter()
                    .filter(|e| !matches!(e, StackEvent::DtlsConnected { .. }))
                    .collect::<Vec<_>>()
            );
            let to_b: Vec<_> = messages
                .iter()
                .map(|data| (1, MessageKind::Binary, data.clone()))
                .collect();
            let to_a: Vec<_> = messages
                .iter()
                .map(|data| (1, MessageKind::Text, data.clone()))
                .collect();
            assert!(
                pair.b.messages == to_b && pair.a.messages == to_a,
                "{percent} %, seed {seed}"
            );
        }
    }
}

#[test]
fn parameters_and_empty_messages_arrive() {
    let mut pair = connected(Box::new(|_| false));
    let parameters = ChannelParameters {
        label: "ä".into(),
        protocol: "chat".into(),
        unordered: true,
        reliability: Reliability::Retransmits(3),
    };
    pair.open(false, 0, parameters.clone());
    pair.b.stack.send(0, MessageKind::Text, Bytes::new());
    pair.b.stack.send(0, MessageKind::Binary, Bytes::new());
    pair.b.stack.send(0, MessageKind::Text, Bytes::from_static(b"\xff"));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.a.messages.len() == 3));
    assert!(pair.a.has(|event| *event
        == StackEvent::IncomingChannel {
            id: 0,
            parameters: parameters.clone()
        }));
    assert_eq!(pair.a.messages[0], (0, MessageKind::Text, Bytes::new()));
    assert_eq!(pair.a.messages[1], (0, MessageKind::Binary, Bytes::new()));
    assert!(pair.b.has(|event| *event == StackEvent::Sent { id: 0, bytes: 1 }));
}

#[test]
fn negotiated_channels_need_no_announcement() {
    let mut pair = connected(Box::new(|_| false));
    let now = pair.now;
    pair.a.stack.open_channel(now, 7, Origin::Negotiated, labelled("n"));
    pair.a.stack.send(7, MessageKind::Text, Bytes::from_static(b"early"));
    pair.run(Duration::from_secs(2), |_| false);
    let now = pair.now;
    pair.b.stack.open_channel(now, 7, Origin::Negotiated, labelled("n"));
    pair.b.stack.send(7, MessageKind::Text, Bytes::from_static(b"late"));
    assert!(pair.run(Duration::from_secs(2), |pair| pair.a.messages.len() == 1
        && pair.b.messages.len() == 1));
    assert_eq!(pair.b.messages[0].2, "early");
}

#[test]
fn the_longest_message_arrives_and_a_longer_one_ends_the_channel() {
    let mut pair = connected(Box::new(|_| false));
    pair.a.stack.send(1, MessageKind::Binary, Bytes::from(vec![1; 262_144]));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.b.messages.len() == 1));
    assert_eq!(pair.b.messages[0].2.len(), 262_144);
    pair.a.stack.send(1, MessageKind::Binary, Bytes::from(vec![1; 262_145]));
    assert!(pair.run(Duration::from_secs(5), |pair| {
        pair.a.has(|event| {
            matches!(
                event,
                StackEvent::ChannelClosed {
                    id: 1,
                    closed: Closed::Failed(_)
                }
            )
        })
    }));
}

#[test]
fn a_paused_channel_stops_the_peer_and_loses_nothing() {
    let mut pair = connected(Box::new(|_| false));
    pair.b.stack.pause_channel(1);
    for n in 0..500u32 {
        let mut message = n.to_be_bytes().to_vec();
        message.resize(5_000, 0);
        pair.a.stack.send(1, MessageKind::Binary, message.into());
    }
    pair.run(Duration::from_secs(20), |_| false);
    assert!(pair.b.messages.is_empty());
    let sent: usize = pair
        .a
        .events
        .iter()
        .map(|event| match event {
            StackEvent::Sent { bytes, .. } => *bytes,
            _ => 0,
        })
        .sum();
    assert!(sent <= 1024 * 1024, "{sent} bytes left the sender's queue");
    let resumed = pair.now;
    pair.b.stack.resume_channel(1);
    assert!(
        pair.run(Duration::from_secs(60), |pair| pair.b.messages.len() == 500),
        "{}",
        pair.b.messages.len()
    );
    assert!(pair.now - resumed < Duration::from_secs(3), "{:?}", pair.now - resumed);
    for (n, (_, _, data)) in pair.b.messages.iter().enumerate() {
        assert_eq!(data[..4], (n as u32).to_be_bytes());
    }
}

#[test]
fn messages_wait_until_an_announced_channel_is_adopted() {
    let mut pair = Pair::new(Box::new(|_| false));
    pair.adopt = false;
    pair.open(true, 1, labelled("one"));
    pair.connect();
    pair.a.stack.send(1, MessageKind::Text, Bytes::from_static(b"first"));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.b.is_open(1)));
    pair.run(Duration::from_secs(1), |_| false);
    assert!(pair.b.messages.is_empty());
    pair.b.stack.adopt_channel(1);
    assert!(pair.run(Duration::from_secs(1), |pair| pair.b.messages.len() == 1));
}

#[test]
fn a_consumer_that_pauses_is_not_left_waiting() {
    let mut pair = connected(Box::new(|_| false));
    for n in 0..400u32 {
        let mut message = n.to_be_bytes().to_vec();
        message.resize(20_000, 0);
        pair.a.stack.send(1, MessageKind::Binary, message.into());
    }
    // Each time, the sender has long filled the window and fallen silent.
    pair.pause_after = Some(25);
    while pair.b.messages.len() < 400 {
        pair.run(Duration::from_millis(1000), |_| false);
        let wanted = (pair.b.messages.len() + 25).min(400);
        pair.b.stack.resume_channel(1);
        let limit = Duration::from_millis(100);
        let resumed = pair.run(limit, |pair| pair.b.messages.len() >= wanted);
        assert!(resumed, "{} messages, then silence", pair.b.messages.len());
    }
}

#[test]
fn single_losses_are_repaired_without_long_silences() {
    let mut pair = connected(losing(1, 5));
    let began = pair.now;
    for _ in 0..300 {
        pair.a.stack.send(1, MessageKind::Binary, Bytes::from(vec![7; 16_384]));
    }
    assert!(pair.run(Duration::from_secs(60), |pair| pair.b.messages.len() == 300));
    // Some fifty losses; each cost a timeout of 0.4 s if the peer were not told of it.
    let elapsed = pair.now - began;
    assert!(elapsed < Duration::from_millis(2500), "{elapsed:?}");
}
