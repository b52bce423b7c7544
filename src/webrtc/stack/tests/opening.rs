//! From nothing to an open channel: ICE, DTLS and SCTP together.

use super::*;

#[test]
fn opens_within_few_round_trips() {
    let pair = connected(Box::new(|_| false));
    let elapsed = pair.now - pair.start;
    assert!(elapsed <= LATENCY * 24, "{elapsed:?}");
    let states: Vec<_> = pair
        .a
        .events
        .iter()
        .filter(|event| matches!(event, StackEvent::Ice(_)))
        .collect();
    assert_eq!(
        states,
        [
            &StackEvent::Ice(IceState::Checking),
            &StackEvent::Ice(IceState::Connected)
        ]
    );
    assert!(pair.b.has(|event| *event
        == StackEvent::DtlsConnected {
            certificate: pair.a.certificate.clone()
        }));
    assert!(pair.a.has(|event| *event
        == StackEvent::DtlsConnected {
            certificate: pair.b.certificate.clone()
        }));
}

#[test]
fn a_check_from_an_unknown_address_is_answered_with_one_at_once() {
    let mut pair = Pair::new(Box::new(|_| false));
    let now = pair.now;
    let (of_a, of_b) = (pair.a.description(), pair.b.description());
    let (for_a, for_b) = (sha256(&pair.b.certificate), sha256(&pair.a.certificate));
    for (end, other, role, dtls, fingerprints) in [
        (&mut pair.b, of_a.0, IceRole::Controlled, DtlsRole::Client, for_b),
        (&mut pair.a, of_b.0, IceRole::Controlling, DtlsRole::Server, for_a),
    ] {
        end.stack.set_remote_credentials(now, other, role);
        end.stack.start_dtls(now, dtls, fingerprints);
        end.stack.start_sctp(now, PARAMETERS);
    }
    let candidate = parse_candidate(&of_a.1).expect("valid").expect("usable");
    pair.b.stack.add_remote_candidate(now, candidate);
    pair.open(true, 1, labelled("one"));
    assert!(pair.run(Duration::from_secs(5), |pair| pair.a.is_open(1)));
    let elapsed = pair.now - pair.start;
    assert!(elapsed <= LATENCY * 24, "{elapsed:?}");
}

#[test]
fn every_datagram_of_the_opening_may_be_lost() {
    let mut whole = 0;
    for lost in 0..40 {
        let pair = connected(Box::new(move |index| index == lost));
        whole = whole.max(pair.sent);
        let elapsed = pair.now - pair.start;
        assert!(elapsed < Duration::from_secs(4), "datagram {lost} lost: {elapsed:?}");
    }
    assert!(whole <= 60, "{whole} datagrams to open");
}

#[test]
fn a_wrong_fingerprint_fails_in_both_roles() {
    let mut pair = Pair::new(Box::new(|_| false));
    let wrong = sha256(b"another certificate");
    let right_for_b = sha256(&pair.a.certificate);
    pair.connect_with(wrong.clone(), right_for_b);
    pair.open(true, 1, labelled("never"));
    pair.run(Duration::from_secs(20), |_| false);
    assert!(
        pair.a
            .has(|event| *event == StackEvent::DtlsFailed(DtlsFailure::Fingerprint)),
        "as server"
    );
    assert!(!pair.a.has(|event| matches!(event, StackEvent::DtlsConnected { .. })));
    assert!(!pair.a.is_open(1) && !pair.b.is_open(1));

    let mut pair = Pair::new(Box::new(|_| false));
    let right_for_a = sha256(&pair.b.certificate);
    pair.connect_with(right_for_a, wrong);
    pair.open(false, 0, labelled("never"));
    pair.run(Duration::from_secs(20), |_| false);
    assert!(
        pair.b
            .has(|event| *event == StackEvent::DtlsFailed(DtlsFailure::Fingerprint)),
        "as client"
    );
    assert!(
        pair.a.has(|event| matches!(event, StackEvent::DtlsFailed(_))),
        "the server hears of it"
    );
    assert!(!pair.a.is_open(0) && !pair.b.is_open(0));
}

#[test]
fn a_sha_512_fingerprint_is_enough() {
    let mut pair = Pair::new(Box::new(|_| false));
    let sha512 = |certificate: &[u8]| {
        vec![
            Fingerprint {
                algorithm: "sha-1".into(),
                value: hex(&[0; 20]),
            },
            Fingerprint {
                algorithm: "SHA-512".into(),
                value: hex(&Sha512::digest(certificate)),
            },
        ]
    };
    let (for_a, for_b) = (sha512(&pair.b.certificate), sha512(&pair.a.certificate));
    pair.open(true, 1, labelled("one"));
    pair.connect_with(for_a, for_b);
    assert!(pair.run(Duration::from_secs(5), |pair| pair.b.is_open(1)));
}

#[test]
fn an_idle_connection_is_quiet() {
    let mut pair = connected(Box::new(|_| false));
    pair.run(Duration::from_secs(2), |_| false);
    let sent = pair.sent;
    pair.run(Duration::from_secs(20), |_| false);
    assert!(pair.sent - sent <= 62, "{} datagrams in 20 s", pair.sent - sent);
}

/// Gives both ends new ICE credentials, as a restart's offer and answer do.
fn restart(pair: &mut Pair, round: usize) {
    let now = pair.now;
    let next = |name: &str| Credentials {
        username_fragment: format!("{name}{round}next"),
        password: format!("{name}-another-password-of-22-characters"),
    };
    pair.a.stack.set_local_credentials(now, next("a"));
    pair.b.stack.set_remote_credentials(now, next("a"), IceRole::Controlled);
    pair.b.stack.set_local_credentials(now, next("b"));
    let candidate = parse_candidate(&pair.a.candidate).expect("valid").expect("usable");
    pair.b.stack.add_remote_candidate(now, candidate);
    pair.a
        .stack
        .set_remote_credentials(now, next("b"), IceRole::Controlling);
    let candidate = parse_candidate(&pair.b.candidate).expect("valid").expect("usable");
    pair.a.stack.add_remote_candidate(now, candidate);
    pair.a.events.clear();
}

#[test]
fn an_ice_restart_keeps_the_channel() {
    let mut pair = connected(Box::new(|_| false));
    for round in 0..2 {
        restart(&mut pair, round);
        pair.a
            .stack
            .send(1, MessageKind::Text, Bytes::from_static(b"meanwhile"));
        assert!(pair.run(Duration::from_secs(5), |pair| {
            pair.a.has(|event| *event == StackEvent::Ice(IceState::Connected)) && pair.b.messages.len() == round + 1
        }));
    }
}

#[test]
fn a_restart_after_failure_loses_no_message() {
    let mut pair = connected(Box::new(|_| false));
    pair.lose = Box::new(|_| true);
    for n in 0..50u8 {
        pair.a.stack.send(1, MessageKind::Binary, vec![n; 3000].into());
    }
    let failed = StackEvent::Ice(IceState::Failed);
    assert!(pair.run(Duration::from_secs(60), |pair| {
        pair.a.has(|event| *event == failed) && pair.b.has(|event| *event == failed)
    }));
    pair.lose = Box::new(|_| false);
    restart(&mut pair, 0);
    assert!(
        pair.run(Duration::from_secs(10), |pair| pair.b.messages.len() == 50),
        "{}",
        pair.b.messages.len()
    );
    assert!(
        pair.b
            .messages
            .iter()
            .enumerate()
            .all(|(n, (_, _, data))| usize::from(data[0]) == n)
    );
}
