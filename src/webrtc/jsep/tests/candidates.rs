//! Candidates and the descriptions that they belong to.

use super::*;

#[test]
fn local_candidates_find_their_descriptions() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    negotiate(&mut a, &mut b, Ice::Keep);
    let first = a.local_fragment();
    let host = "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host";
    // A candidate that comes between the making and the setting of an offer is in it nevertheless.
    let offer = a.offer(Ice::Keep);
    a.snapshot.slots = add_local_candidate(&a.snapshot.slots, &first, host).expect("added");
    a.snapshot.slots = add_local_candidate(&a.snapshot.slots, &first, host).expect("added");
    a.snapshot.slots = add_local_candidate(&a.snapshot.slots, &first, "").expect("added");
    a.set(Side::Local, SdpType::Offer, &offer).expect("set");
    let Slots {
        current_local,
        pending_local,
        ..
    } = &a.snapshot.slots;
    for slot in [current_local, pending_local] {
        let text = &slot.as_ref().expect("set").sdp;
        assert_eq!(text.matches("a=candidate").count(), 1, "{text}");
        assert_eq!(text.matches("a=end-of-candidates").count(), 1);
    }
    let text = &current_local.as_ref().expect("set").sdp;
    assert!(
        text.contains("m=application 4000 ") && text.contains("c=IN IP4 192.0.2.1\r\n"),
        "{text}"
    );
}

#[test]
fn remote_candidates_are_matched() {
    let mut peer = Peer::new("B");
    peer.set(Side::Remote, SdpType::Offer, LIBDATACHANNEL).expect("set");
    let good = "candidate:9 1 udp 1 192.0.2.9 9 typ host";
    let with = |candidate, mid, index, username_fragment| RemoteCandidate {
        candidate,
        mid,
        index,
        username_fragment,
    };
    let slots = &peer.snapshot.slots;
    for refused in [
        with(good, Some("x"), None, None),
        with(good, Some("x"), Some(0), None),
        with(good, None, Some(1), None),
        with(good, Some("0"), None, Some("nope")),
        with(
            "candidate:9 1 udp 1 192.0.2.9 9 typ host ufrag nope",
            Some("0"),
            None,
            None,
        ),
        with("garbage", Some("0"), None, None),
        with("candidate:9 1 udp 1 192.0.2.9 65536 typ host", Some("0"), None, None),
    ] {
        assert!(
            matches!(add_remote_candidate(slots, refused), Err(Refusal::Operation(_))),
            "{refused:?}"
        );
    }
    for added in [
        with(good, Some("0"), None, None),
        with(good, None, Some(0), None),
        with(good, Some("0"), Some(7), Some("DQTM")),
        with("", None, None, None),
    ] {
        let after = add_remote_candidate(slots, added).expect("added");
        assert_eq!(after.username_fragments, ["DQTM"]);
        let sdp = &after.slots.pending_remote.expect("set").sdp;
        assert_eq!(sdp.contains("192.0.2.9"), !added.candidate.is_empty());
    }
    let mut slots = slots.clone();
    for port in 1..10_000 {
        let candidate = format!("candidate:9 1 udp 1 192.0.2.9 {port} typ host");
        let added = RemoteCandidate {
            candidate: &candidate,
            mid: None,
            index: Some(0),
            username_fragment: None,
        };
        slots = add_remote_candidate(&slots, added).expect("capped, not refused").slots;
    }
    assert_eq!(
        slots.pending_remote.expect("set").sdp.matches("a=candidate").count(),
        100
    );
}
