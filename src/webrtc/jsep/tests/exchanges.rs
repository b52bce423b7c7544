//! Whole exchanges: real offers, roles, restarts, glare, provisional answers, refused sections.

use super::*;

#[test]
fn answers_real_offers() {
    for sdp in [CHROMIUM, FIREFOX, AIORTC, LIBDATACHANNEL] {
        for text in [sdp.to_owned(), sdp.replace("\r\n", "\n")] {
            let mut peer = Peer::new("B");
            peer.set(Side::Remote, SdpType::Offer, &text).expect("an offer");
            let answer = peer.answer();
            assert!(
                answer.contains("a=setup:active\r\n") && answer.contains("a=group:BUNDLE 0\r\n"),
                "{answer}"
            );
            let connect = peer
                .set(Side::Local, SdpType::Answer, &answer)
                .expect("answer")
                .connect
                .expect("connect");
            assert_eq!(
                (connect.dtls_role, connect.ice_role),
                (DtlsRole::Client, IceRole::Controlled)
            );
            assert_eq!(connect.remote_ice.username_fragment, fragment(&text));
            assert!(!connect.candidates.is_empty());
        }
    }
}

#[test]
fn refuses_media_and_keeps_its_place() {
    let mut peer = Peer::new("B");
    peer.set(Side::Remote, SdpType::Offer, CHROMIUM_MEDIA)
        .expect("an offer");
    let answer = peer.answer();
    let parsed = parse(&answer).expect("valid");
    assert_eq!(parsed.bundle, [["2"]]);
    let shape: Vec<_> = parsed
        .sections
        .iter()
        .map(|s| (s.kind.clone(), s.port, s.mid.clone()))
        .collect();
    let mid = |mid: &str| Some(mid.to_owned());
    assert_eq!(
        shape,
        [
            (Kind::Audio, 0, mid("0")),
            (Kind::Video, 0, mid("1")),
            (Kind::Application, 9, mid("2"))
        ]
    );
    assert!(answer.contains("m=audio 0 UDP/TLS/RTP/SAVPF 111 63\r\n"));
    let changes = peer.set(Side::Local, SdpType::Answer, &answer).expect("an answer");
    assert_eq!(changes.connect.expect("data").remote_ice.username_fragment, "ZV6s");
    // A later offer of ours keeps the three sections in place.
    let offer = parse(&peer.offer(Ice::Keep)).expect("valid");
    assert_eq!(offer.sections.iter().map(|s| s.port).collect::<Vec<_>>(), [0, 0, 9]);
    // Chromium sends the candidates of the bundle under its first mid.
    let added = RemoteCandidate {
        candidate: "candidate:1 1 udp 1 192.0.2.9 9 typ host",
        mid: Some("0"),
        index: Some(0),
        username_fragment: Some("ZV6s"),
    };
    assert_eq!(
        add_remote_candidate(&peer.snapshot.slots, added)
            .expect("added")
            .username_fragments,
        ["ZV6s"]
    );
}

#[test]
fn an_empty_offer_is_an_offer() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    let local = a.local();
    let offer = create_offer(&a.snapshot, local, Ice::Keep, Data::Unwanted)
        .expect("offer")
        .to_string();
    assert_eq!(parse(&offer).expect("valid").sections.len(), 0);
    a.set(Side::Local, SdpType::Offer, &offer).expect("set");
    b.set(Side::Remote, SdpType::Offer, &offer).expect("set");
    let answer = b.answer();
    assert!(!a.set(Side::Remote, SdpType::Answer, &answer).expect("set").has_data);
}

#[test]
fn a_description_without_mids_goes_by_place() {
    let strip = |sdp: &str| {
        let keep = |line: &&str| !line.starts_with("a=mid") && !line.starts_with("a=group");
        sdp.split_inclusive("\r\n").filter(keep).collect::<String>()
    };
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    let offer = a.offer(Ice::Keep);
    a.set(Side::Local, SdpType::Offer, &offer).expect("local offer");
    b.set(Side::Remote, SdpType::Offer, &strip(&offer))
        .expect("remote offer");
    let answer = b.answer();
    assert!(!answer.contains("a=mid") && !answer.contains("a=group"));
    assert!(
        b.set(Side::Local, SdpType::Answer, &answer)
            .expect("set")
            .connect
            .is_some()
    );
    assert!(
        a.set(Side::Remote, SdpType::Answer, &answer)
            .expect("set")
            .connect
            .is_some()
    );
}

#[test]
fn roles_follow_the_offer_and_stay() {
    for (offered, answered, role) in [
        ("actpass", "active", DtlsRole::Client),
        ("active", "passive", DtlsRole::Server),
        ("passive", "active", DtlsRole::Client),
    ] {
        let mut peer = Peer::new("B");
        peer.set(Side::Remote, SdpType::Offer, &CHROMIUM.replace("actpass", offered))
            .expect("offer");
        let answer = peer.answer();
        assert!(answer.contains(&format!("a=setup:{answered}\r\n")));
        let connect = peer
            .set(Side::Local, SdpType::Answer, &answer)
            .expect("answer")
            .connect
            .expect("connect");
        assert_eq!(connect.dtls_role, role);
        // The next offer is actpass, and its answer keeps the role.
        peer.set(Side::Remote, SdpType::Offer, CHROMIUM).expect("offer");
        assert!(peer.answer().contains(&format!("a=setup:{answered}\r\n")));
    }
}

#[test]
fn the_transition_table() {
    use SignalingState::{HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable};
    let states = [
        Stable,
        HaveLocalOffer,
        HaveRemoteOffer,
        HaveLocalPranswer,
        HaveRemotePranswer,
    ];
    let l_offer = [Some(HaveLocalOffer), Some(HaveLocalOffer), None, None, None];
    let r_offer = [Some(HaveRemoteOffer), None, Some(HaveRemoteOffer), None, None];
    let l_answer = [None, None, Some(Stable), Some(Stable), None];
    let r_answer = [None, Some(Stable), None, None, Some(Stable)];
    let l_pranswer = [None, None, Some(HaveLocalPranswer), Some(HaveLocalPranswer), None];
    let r_pranswer = [None, Some(HaveRemotePranswer), None, None, Some(HaveRemotePranswer)];
    let l_rollback = [None, Some(Stable), None, None, None];
    let r_rollback = [None, None, Some(Stable), None, None];
    for (side, kind, row) in [
        (Side::Local, SdpType::Offer, l_offer),
        (Side::Remote, SdpType::Offer, r_offer),
        (Side::Local, SdpType::Answer, l_answer),
        (Side::Remote, SdpType::Answer, r_answer),
        (Side::Local, SdpType::Pranswer, l_pranswer),
        (Side::Remote, SdpType::Pranswer, r_pranswer),
        (Side::Local, SdpType::Rollback, l_rollback),
        (Side::Remote, SdpType::Rollback, r_rollback),
    ] {
        for (state, expected) in states.into_iter().zip(row) {
            assert_eq!(
                transition(state, side, kind),
                expected,
                "{side:?} {kind:?} in {state:?}"
            );
        }
    }
}

#[test]
fn an_exchange_and_the_next() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("BB"));
    let (offered, answered) = negotiate(&mut a, &mut b, Ice::Keep);
    assert_eq!(
        (offered.state, answered.state),
        (SignalingState::Stable, SignalingState::Stable)
    );
    let (x, y) = (offered.connect.expect("connect"), answered.connect.expect("connect"));
    assert_eq!(
        (x.dtls_role, x.ice_role, y.dtls_role, y.ice_role),
        (
            DtlsRole::Server,
            IceRole::Controlling,
            DtlsRole::Client,
            IceRole::Controlled
        )
    );
    assert_eq!(x.remote_fingerprints[0].value, ["02"; 32].join(":"));
    let (a1, b1) = (a.local_fragment(), b.local_fragment());
    // The other side offers: credentials and mids stay.
    let (_, answered) = negotiate(&mut b, &mut a, Ice::Keep);
    assert_eq!((a.local_fragment(), b.local_fragment()), (a1.clone(), b1.clone()));
    assert_eq!(
        answered.connect.expect("connect").dtls_role,
        DtlsRole::Server,
        "roles stay"
    );
    // An ICE restart changes both.
    negotiate(&mut a, &mut b, Ice::Restart);
    assert!(a.local_fragment() != a1 && b.local_fragment() != b1);
}

#[test]
fn provisional_answers_keep_their_credentials() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    let offer = a.offer(Ice::Keep);
    a.set(Side::Local, SdpType::Offer, &offer).expect("set");
    b.set(Side::Remote, SdpType::Offer, &offer).expect("set");
    let pranswer = b.answer();
    b.set(Side::Local, SdpType::Pranswer, &pranswer).expect("set");
    assert!(
        a.set(Side::Remote, SdpType::Pranswer, &pranswer)
            .expect("set")
            .connect
            .is_some()
    );
    assert_eq!(a.snapshot.state, SignalingState::HaveRemotePranswer);
    let answer = b.answer();
    assert_eq!(fragment(&pranswer), fragment(&answer));
    b.set(Side::Local, SdpType::Answer, &answer).expect("set");
    a.set(Side::Remote, SdpType::Answer, &answer).expect("set");
    assert!(a.snapshot.slots.pending_local.is_none() && a.snapshot.slots.pending_remote.is_none());
}

#[test]
fn glare_is_left_by_a_rollback() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    let (from_a, from_b) = (a.offer(Ice::Keep), b.offer(Ice::Keep));
    a.set(Side::Local, SdpType::Offer, &from_a).expect("set");
    b.set(Side::Local, SdpType::Offer, &from_b).expect("set");
    assert!(matches!(
        b.set(Side::Remote, SdpType::Offer, &from_a),
        Err(Refusal::InvalidState(_))
    ));
    let back = b.set(Side::Local, SdpType::Rollback, "").expect("rollback");
    assert_eq!((back.state, back.gather), (SignalingState::Stable, None));
    assert_eq!(back.slots, Slots::default());
    b.set(Side::Remote, SdpType::Offer, &from_a).expect("set");
    let answer = b.answer();
    b.set(Side::Local, SdpType::Answer, &answer).expect("set");
    a.set(Side::Remote, SdpType::Answer, &answer).expect("set");
    // Rolling a restart back names the credentials that are in force again.
    let before = a.local_fragment();
    let restart = a.offer(Ice::Restart);
    a.set(Side::Local, SdpType::Offer, &restart).expect("set");
    let back = a.set(Side::Local, SdpType::Rollback, "").expect("rollback");
    assert_eq!(back.gather.expect("in force").ice.username_fragment, before);
}

#[test]
fn a_refused_data_section_is_used_anew() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    let offer = a.offer(Ice::Keep);
    a.set(Side::Local, SdpType::Offer, &offer).expect("set");
    b.set(
        Side::Remote,
        SdpType::Offer,
        &offer.replace("webrtc-datachannel", "other"),
    )
    .expect("set");
    let answer = b.answer().replace("other", "webrtc-datachannel");
    assert!(!a.set(Side::Remote, SdpType::Answer, &answer).expect("set").has_data);
    let again = parse(&a.offer(Ice::Keep)).expect("valid");
    assert_eq!((again.sections.len(), again.sections[0].port), (1, 9));
    assert_eq!(
        again.sections[0].mid.as_deref(),
        Some("1"),
        "another mid than the refused one"
    );
}
