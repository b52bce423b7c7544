//! Noise, damage and silence.

use super::*;

#[test]
fn silence_disconnects_and_then_fails() {
    let mut pair = connected(Box::new(|_| false));
    pair.lose = Box::new(|_| true);
    let lost = pair.now;
    assert!(pair.run(Duration::from_secs(10), |pair| {
        pair.a.has(|event| *event == StackEvent::Ice(IceState::Disconnected))
    }));
    assert!(pair.now - lost >= Duration::from_secs(4));
    assert!(pair.run(Duration::from_secs(40), |pair| {
        pair.a.has(|event| *event == StackEvent::Ice(IceState::Failed))
    }));
    let sent = pair.sent;
    pair.a
        .stack
        .send(1, MessageKind::Text, Bytes::from_static(b"into the void"));
    pair.pump();
    assert_eq!(pair.sent, sent, "consent has expired");
}

#[test]
fn garbage_changes_nothing() {
    let mut pair = connected(Box::new(|_| false));
    let mut next = random(7);
    let path = Path {
        local: pair.a.address,
        remote: pair.b.address,
    };
    let stranger = Path {
        remote: "203.0.113.9:9".parse().expect("an address"),
        ..path
    };
    for round in 0..5_000 {
        let length = (next() % 200) as usize;
        let mut datagram: Vec<u8> = (0..length).map(|_| next() as u8).collect();
        if let Some(first) = datagram.first_mut() {
            *first = [0, 1, 20, 21, 22, 23, 25, 128, 144, *first][(next() % 10) as usize];
        }
        if length > 20 && datagram[0] < 2 {
            datagram[4..8].copy_from_slice(&0x2112_A442_u32.to_be_bytes());
        }
        let now = pair.now;
        let path = if round % 2 == 0 { path } else { stranger };
        pair.a.stack.handle_input(now, path, BytesMut::from(&datagram[..]));
    }
    pair.b
        .stack
        .send(1, MessageKind::Text, Bytes::from_static(b"still here"));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.a.messages.len() == 1));
}

#[test]
fn damaged_handshakes_do_not_panic() {
    let mut next = random(11);
    for seed in 0..60 {
        let mut pair = Pair::new(Box::new(|_| false));
        pair.open(true, 1, labelled("one"));
        pair.connect();
        for _ in 0..200 {
            pair.pump();
            for inbox in [&mut pair.a.inbox, &mut pair.b.inbox] {
                for (_, _, datagram) in inbox.iter_mut() {
                    if next().is_multiple_of(8) && !datagram.is_empty() {
                        let at = (next() % datagram.len() as u64) as usize;
                        datagram[at] ^= 1 << (next() % 8);
                        if next().is_multiple_of(4) {
                            datagram.truncate(at);
                        }
                    }
                }
            }
            pair.now += Duration::from_millis(5);
        }
        assert!(pair.sent > 0, "seed {seed}");
    }
}

#[test]
fn checking_ends_sooner_when_there_are_no_more_candidates() {
    let mut pair = Pair::new(Box::new(|_| true));
    pair.connect();
    pair.a.stack.end_remote_candidates();
    assert!(pair.run(Duration::from_secs(17), |pair| {
        pair.a.has(|event| *event == StackEvent::Ice(IceState::Failed))
    }));
    assert!(pair.now - pair.start >= Duration::from_secs(14));
    // A pair is checked for a bounded number of times.
    pair.run(Duration::from_secs(60), |_| false);
    assert!(pair.sent <= 110, "{} checks", pair.sent);
}
