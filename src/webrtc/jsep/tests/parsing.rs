//! Reading real descriptions, and the line numbers and limits of bad ones.

use super::*;

#[test]
fn reads_what_real_peers_write() {
    for (sdp, ufrag, size, candidates, trickles, prints) in [
        (CHROMIUM, "a5i5", 262_144, 2, true, 1),
        (FIREFOX, "7dd6c2b1", 1_073_741_823, 1, true, 1),
        (AIORTC, "qrvv", 262_144, 2, false, 2),
        (LIBDATACHANNEL, "DQTM", 262_144, 2, true, 1),
    ] {
        let description = parse(sdp).expect("valid");
        let section = &description.sections[description.data_section().expect("data")];
        assert_eq!(
            section.ice.as_ref().map(|ice| ice.username_fragment.as_str()),
            Some(ufrag)
        );
        assert_eq!((section.sctp_port, section.max_message_size), (Some(5000), Some(size)));
        assert_eq!(section.candidates.len(), candidates);
        assert_eq!(
            (description.can_trickle(), section.fingerprints.len()),
            (trickles, prints)
        );
        assert_eq!(description.bundle, [["0"]]);
        // What was parsed prints to something that parses to the same.
        let again = parse(&description.to_string()).expect("valid");
        assert_eq!(again.sections[0].ice, section.ice);
        assert_eq!(again.sections[0].candidates, section.candidates);
    }
}

#[test]
fn the_lines_of_syntax_errors() {
    let good: Vec<&str> = CHROMIUM.lines().collect();
    for (line, replaced) in [
        (1, "v=1"),
        (1, "o=- 1 1 IN IP4 0.0.0.0"),
        (2, "o=- 1 1"),
        (3, "t=0 0"),
        (4, "m=audio 9 UDP/TLS/RTP/SAVPF 0"),
        (5, "garbage"),
        (6, ""),
        (7, "a=\u{0}"),
        (8, "m=application 70000 UDP/DTLS/SCTP webrtc-datachannel"),
        (8, "m=application 9 UDP/DTLS/SCTP"),
        (9, "s=late"),
        (12, "a=ice-ufrag:abc"),
        (12, "a=ice-ufrag:a%i5"),
        (13, "a=ice-pwd:98YGmvTc5/2kRJr3hhwbS"),
        (15, "a=fingerprint:sha-256 3B:C5"),
        (15, "a=fingerprint:sha-256 zz"),
        (15, "a=fingerprint:sha-256"),
        (16, "a=setup:both"),
        (17, "a=mid:"),
        (17, "a=mid:a b"),
        (18, "a=sctp-port:65536"),
        (18, "a=sctp-port:0"),
        (19, "a=max-message-size:-1"),
    ] {
        let mut lines = good.clone();
        lines[line - 1] = replaced;
        let line = u32::try_from(line).expect("small");
        assert_eq!(line_of(parse(&(lines.join("\r\n") + "\r\n"))), Some(line), "{replaced}");
    }
    for (text, line) in [
        ("", 1),
        ("v=0", 1),
        ("v=0\r\n", 1),
        ("\r\n", 1),
        ("v=0\ro=-", 1),
        ("\u{1}\u{2}\n", 1),
    ] {
        assert_eq!(line_of(parse(text)), Some(line), "{text:?}");
    }
    let long_pwd = format!("a=ice-pwd:{}", "a".repeat(257));
    let mut lines = good.clone();
    lines[12] = &long_pwd;
    assert_eq!(line_of(parse(&lines.join("\n"))), Some(13));
}

#[test]
fn limits() {
    assert!(matches!(parse(&"a".repeat(MAX_BYTES + 1)), Err(Refusal::Operation(_))));
    let head = "v=0\no=- 1 1 IN IP4 0\ns=-\nt=0 0\n";
    assert!(parse(&format!("{head}{}", "a=x\n".repeat(200_000))).is_ok());
    assert_eq!(line_of(parse(&format!("{head}a={}\n", "x".repeat(1 << 15)))), Some(5));
    let section = "m=audio 9 RTP/AVP 0\n";
    assert!(parse(&format!("{head}{}", section.repeat(1000))).is_ok());
    assert!(matches!(
        parse(&format!("{head}{}", section.repeat(1001))),
        Err(Refusal::Operation(_))
    ));
    let candidates = "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n".repeat(10_000);
    let many = parse(&format!("{CHROMIUM}{candidates}")).expect("valid");
    assert_eq!(many.sections[0].candidates.len(), 100);
}

/// A small generator of the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }
}

/// One change of the kinds that lines and bytes can suffer.
fn mutate(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let at = random.below(lines.len());
    let other = random.below(lines.len());
    match random.below(7) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, lines[at].clone()),
        2 => lines.swap(at, other),
        3 => lines.truncate(at.max(1)),
        4 => lines[at] = lines[at].repeat(random.below(50)),
        5 => {
            let cut = random.below(lines[at].len());
            let rest: String = lines[other].chars().skip(random.below(20)).collect();
            lines[at] = lines[at].chars().take(cut).collect::<String>() + &rest;
        }
        _ => {
            let place = random.below(lines[at].chars().count());
            let odd = ['\0', '\u{e9}', ' ', ':', '=', '9', '\r', '\n', '\u{1f600}'][random.below(9)];
            lines[at] = lines[at]
                .chars()
                .enumerate()
                .map(|(i, c)| if i == place { odd } else { c })
                .collect();
        }
    }
    lines.concat()
}

#[test]
fn no_mutation_of_a_description_panics() {
    let mut random = Random(1);
    let mut taken = 0;
    for _ in 0..4000 {
        let mut text = [CHROMIUM, CHROMIUM_MEDIA, FIREFOX, AIORTC, LIBDATACHANNEL][random.below(5)].to_owned();
        for _ in 0..=random.below(3) {
            text = mutate(&text, &mut random);
            if text.is_empty() {
                break;
            }
        }
        let mut peer = Peer::new("B");
        if peer.set(Side::Remote, SdpType::Offer, &text).is_err() {
            assert_eq!(peer.snapshot.slots, Slots::default());
            continue;
        }
        taken += 1;
        let added = RemoteCandidate {
            candidate: "candidate:9 1 udp 1 192.0.2.9 9 typ host",
            mid: None,
            index: Some(0),
            username_fragment: None,
        };
        if let Ok(added) = add_remote_candidate(&peer.snapshot.slots, added) {
            peer.snapshot.slots = added.slots;
        }
        // What was taken can be answered, and the answer set.
        let answer = peer.answer();
        peer.set(Side::Local, SdpType::Answer, &answer).expect("our own answer");
        peer.offer(Ice::Keep);
    }
    assert!(taken > 500, "{taken} of 4000 were taken");
}
