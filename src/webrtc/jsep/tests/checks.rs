//! What is well-formed and yet refused, in linear time.

use super::*;

#[test]
fn invalid_content_of_an_offer() {
    let fingerprint = CHROMIUM
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .expect("one");
    let sha1 = format!("a=fingerprint:sha-1 {}", ["AA"; 20].join(":"));
    for (what, sdp) in [
        ("no fingerprint", CHROMIUM.replace(&format!("{fingerprint}\r\n"), "")),
        ("sha-1", CHROMIUM.replace(fingerprint, &sha1)),
        (
            "md5",
            CHROMIUM.replace(fingerprint, &format!("a=fingerprint:md5 {}", ["AA"; 16].join(":"))),
        ),
        ("no ufrag", CHROMIUM.replace("a=ice-ufrag:a5i5\r\n", "")),
        ("no pwd", CHROMIUM.replace("a=ice-pwd:98YGmvTc5/2kRJr3hhwbSGdR\r\n", "")),
        ("holdconn", CHROMIUM.replace("actpass", "holdconn")),
        ("unknown mid", CHROMIUM.replace("BUNDLE 0", "BUNDLE 0 1")),
        ("bundled twice", CHROMIUM.replace("BUNDLE 0", "BUNDLE 0 0")),
        ("same mid", CHROMIUM_MEDIA.replace("a=mid:1", "a=mid:0")),
        ("no rtcp-mux", CHROMIUM_MEDIA.replace("a=rtcp-mux\r\n", "")),
        (
            "two certificates in a bundle",
            CHROMIUM_MEDIA.replacen("FB:D7", "00:00", 1),
        ),
    ] {
        let refused = Peer::new("A").set(Side::Remote, SdpType::Offer, &sdp);
        assert!(matches!(refused, Err(Refusal::InvalidAccess(_))), "{what}: {refused:?}");
    }
    let safe_too = CHROMIUM.replace(fingerprint, &format!("{sha1}\r\n{fingerprint}"));
    assert!(Peer::new("A").set(Side::Remote, SdpType::Offer, &safe_too).is_ok());
}

#[test]
fn invalid_content_of_an_answer() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    let offer = a.offer(Ice::Keep);
    a.set(Side::Local, SdpType::Offer, &offer).expect("set");
    b.set(Side::Remote, SdpType::Offer, &offer).expect("set");
    let answer = b.answer();
    let section = &answer[answer.find("m=").expect("a section")..];
    for (what, sdp) in [
        ("actpass", answer.replace("setup:active", "setup:actpass")),
        ("holdconn", answer.replace("setup:active", "setup:holdconn")),
        (
            "one section more",
            format!("{answer}{}", section.replace("a=mid:0", "a=mid:1")),
        ),
        ("none", answer.replace(section, "").replace("a=group:BUNDLE 0\r\n", "")),
        (
            "another mid",
            answer.replace("a=mid:0", "a=mid:1").replace("BUNDLE 0", "BUNDLE 1"),
        ),
        (
            "another kind",
            answer.replace(
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
                "m=audio 9 UDP/TLS/RTP/SAVPF 0",
            ),
        ),
    ] {
        let before = a.snapshot.clone();
        assert!(a.set(Side::Remote, SdpType::Answer, &sdp).is_err(), "{what}");
        assert_eq!(a.snapshot, before, "a refused description changes nothing");
    }
    let passive = answer.replace("setup:active", "setup:passive");
    let connect = a
        .set(Side::Remote, SdpType::Pranswer, &passive)
        .expect("set")
        .connect
        .expect("connect");
    assert_eq!(
        (connect.dtls_role, connect.ice_role),
        (DtlsRole::Client, IceRole::Controlling)
    );
    // Without a=setup the answerer is active, as libwebrtc takes it.
    let bare = answer.replace("a=setup:active\r\n", "");
    let connect = a
        .set(Side::Remote, SdpType::Answer, &bare)
        .expect("set")
        .connect
        .expect("connect");
    assert_eq!(connect.dtls_role, DtlsRole::Server);
}

#[test]
fn credentials_change_with_a_restart_only() {
    let (mut a, mut b) = (Peer::new("A"), Peer::new("B"));
    negotiate(&mut a, &mut b, Ice::Keep);
    let kept = b.local_fragment();
    for (ice, lie) in [(Ice::Keep, "other"), (Ice::Restart, "old")] {
        let offer = a.offer(ice);
        a.set(Side::Local, SdpType::Offer, &offer).expect("set");
        b.set(Side::Remote, SdpType::Offer, &offer).expect("set");
        let answer = b.answer();
        let wrong = match lie {
            "old" => {
                let current = parse(&b.snapshot.slots.current_local.as_ref().expect("set").sdp).expect("valid");
                let ice = current.sections[0].ice.clone().expect("credentials");
                let new = parse(&answer).expect("valid").sections[0]
                    .ice
                    .clone()
                    .expect("credentials");
                answer
                    .replace(&new.username_fragment, &ice.username_fragment)
                    .replace(&new.password, &ice.password)
            }
            _ => answer.replace(&kept, "zzzz"),
        };
        assert!(
            matches!(
                a.set(Side::Remote, SdpType::Answer, &wrong),
                Err(Refusal::InvalidAccess(_))
            ),
            "{lie}"
        );
        a.set(Side::Remote, SdpType::Answer, &answer).expect("the right answer");
        b.set(Side::Local, SdpType::Answer, &answer).expect("the right answer");
    }
}

#[test]
fn a_thousand_sections_take_linear_time() {
    let mut sdp = String::from("v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for mid in 0..1000 {
        sdp.push_str(&format!(" {mid}"));
    }
    sdp.push_str("\r\n");
    let transport = CHROMIUM
        .lines()
        .filter(|line| line.starts_with("a=ice-") || line.starts_with("a=fingerprint"));
    let transport: String = transport.map(|line| format!("{line}\r\n")).collect();
    for mid in 0..1000 {
        let port = if mid == 999 { 9 } else { 0 };
        sdp.push_str(&format!(
            "m=application {port} UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:{mid}\r\n{transport}"
        ));
    }
    let mut peer = Peer::new("B");
    peer.set(Side::Remote, SdpType::Offer, &sdp).expect("set");
    let answer = peer.answer();
    let connect = peer
        .set(Side::Local, SdpType::Answer, &answer)
        .expect("set")
        .connect
        .expect("connect");
    assert_eq!(connect.remote_ice.username_fragment, "a5i5");
}
