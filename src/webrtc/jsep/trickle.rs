//! Candidates that come one by one, ours and the peer's, and their place in the description slots:
//! [RFC 8838](https://www.rfc-editor.org/rfc/rfc8838) and `addIceCandidate` of
//! [webrtc-pc](https://w3c.github.io/webrtc-pc/#dom-peerconnection-addicecandidate).

use super::Refusal;
use super::apply::{Slot, Slots};
use super::candidate::{self, CandidateKind, Component, Protocol};
use super::description::{Description, MAX_CANDIDATES, Section, with_lines};

/// A candidate from the peer, or the end of its candidates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemoteCandidate<'a> {
    /// `candidate:…`, or empty for the end.
    pub(crate) candidate: &'a str,
    pub(crate) mid: Option<&'a str>,
    pub(crate) index: Option<u16>,
    pub(crate) username_fragment: Option<&'a str>,
}

/// What a remote candidate changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) slots: Slots,
    /// The ICE generations (by the peer's ufrag) that it belongs to; empty when there is nothing to tell the transport.
    pub(crate) username_fragments: Vec<String>,
}

/// Adds a candidate of the peer, steps 3 to 7 of `addIceCandidate`'s chained operation.
pub(crate) fn add_remote_candidate(slots: &Slots, added: RemoteCandidate<'_>) -> Result<Added, Refusal> {
    let refused = |message: &str| Err(Refusal::Operation(message.into()));
    let text = added.candidate.strip_prefix("a=").unwrap_or(added.candidate);
    let from_text = match text {
        "" => None,
        text => match candidate::parse(text) {
            Some(candidate) => candidate.username_fragment,
            None => return refused("Not a candidate that can be read"),
        },
    };
    let username_fragment = added.username_fragment.or(from_text);
    let mut slots = slots.clone();
    let mut username_fragments: Vec<String> = Vec::new();
    let (mut section_found, mut is_stopped, mut is_first) = (false, false, true);
    for slot in [&mut slots.pending_remote, &mut slots.current_remote]
        .into_iter()
        .flatten()
    {
        let description = slot.parse()?;
        let mut lines_at = Vec::new();
        for section in sections_named(&description, added) {
            section_found = true;
            if section.is_rejected() {
                is_stopped = true;
                continue;
            }
            let Some(generation) = section_fragment(&description, section) else {
                continue;
            };
            // Without a ufrag the candidate belongs to the newest remote description.
            if username_fragment.map_or(is_first, |fragment| fragment == generation) {
                if !username_fragments.iter().any(|known| known == generation) {
                    username_fragments.push(generation.to_owned());
                }
                lines_at.push(section.clone());
            }
        }
        is_first = false;
        // From the end, so that the spans before stay true.
        for section in lines_at.iter().rev() {
            add_line(slot, section, text);
        }
    }
    match (section_found, username_fragments.is_empty() && !is_stopped) {
        (false, _) if added.mid.is_some() || added.index.is_some() => {
            refused("No m-section has this sdpMid or sdpMLineIndex")
        }
        (true, true) if username_fragment.is_some() => refused("No m-section has this usernameFragment"),
        _ => Ok(Added {
            slots,
            username_fragments,
        }),
    }
}

/// The sections that the candidate is for: all of them when it ends the candidates of the whole session.
fn sections_named<'a>(
    description: &'a Description,
    added: RemoteCandidate<'a>,
) -> impl Iterator<Item = &'a Section> + use<'a> {
    description
        .sections
        .iter()
        .enumerate()
        .filter_map(move |(index, section)| {
            let is_named = match (added.mid, added.index) {
                (Some(mid), _) => section
                    .mid
                    .as_deref()
                    .map_or_else(|| mid == index.to_string(), |own| own == mid),
                (None, Some(named)) => index == usize::from(named),
                (None, None) => true,
            };
            is_named.then_some(section)
        })
}

/// The ufrag of a section, its own or that of its bundle.
fn section_fragment<'a>(description: &'a Description, section: &'a Section) -> Option<&'a str> {
    let own = section.ice.as_ref();
    let ice = own.or_else(|| {
        let index = description
            .sections
            .iter()
            .position(|other| other.line == section.line)?;
        description.sections[description.transports()[index]].ice.as_ref()
    });
    ice.map(|ice| ice.username_fragment.as_str())
}

fn add_line(slot: &mut Slot, section: &Section, candidate: &str) {
    if candidate.is_empty() {
        if !section.end_of_candidates {
            slot.sdp = with_lines(&slot.sdp, &section.span, &["a=end-of-candidates"]);
        }
    } else if section.candidates.len() < MAX_CANDIDATES && !section.candidates.iter().any(|known| known == candidate) {
        slot.sdp = with_lines(&slot.sdp, &section.span, &[&format!("a={candidate}")]);
    }
}

/// Adds a candidate of ours (empty: the end) to the local descriptions that its ICE generation appears in.
pub(crate) fn add_local_candidate(slots: &Slots, username_fragment: &str, candidate: &str) -> Result<Slots, Refusal> {
    let mut slots = slots.clone();
    for slot in [&mut slots.pending_local, &mut slots.current_local]
        .into_iter()
        .flatten()
    {
        let section = |description: Description| {
            let is_ours = |section: &Section| {
                section
                    .ice
                    .as_ref()
                    .is_some_and(|ice| ice.username_fragment == username_fragment)
            };
            description.sections.into_iter().find(is_ours)
        };
        if let Some(found) = section(slot.parse()?) {
            add_line(slot, &found, candidate);
        }
        if let Some(found) = section(slot.parse()?) {
            set_default_candidate(slot, &found);
        }
    }
    Ok(slots)
}

/// Puts the default candidate into the `m=` and `c=` lines, RFC 8839, section 4.2.1.2: the kind most likely to work.
fn set_default_candidate(slot: &mut Slot, section: &Section) {
    let candidates = section.candidates.iter().filter_map(|text| candidate::parse(text));
    let usable = candidates.filter(|candidate| {
        candidate.protocol == Protocol::Udp
            && candidate.component == Component::Rtp
            && candidate.address.parse::<std::net::IpAddr>().is_ok()
    });
    let rank = |candidate: &candidate::Candidate<'_>| {
        let kind = match candidate.kind {
            CandidateKind::Relay => 3,
            CandidateKind::Srflx | CandidateKind::Prflx => 2,
            CandidateKind::Host => 1,
        };
        (kind, !candidate.address.contains(':'), candidate.priority)
    };
    let Some(default) = usable.max_by_key(rank) else { return };
    let family = if default.address.contains(':') { "IP6" } else { "IP4" };
    let (head, rest) = slot.sdp.split_at(section.span.start);
    let (own, tail) = rest.split_at(section.span.len());
    let mut text = String::from(head);
    for line in own.split_inclusive('\n') {
        if line.starts_with("m=") {
            let words = line
                .trim_start_matches("m=")
                .trim_end()
                .splitn(3, ' ')
                .collect::<Vec<_>>();
            if let [kind, _, rest] = words[..] {
                text.push_str(&format!("m={kind} {} {rest}\r\n", default.port));
                continue;
            }
        } else if line.starts_with("c=") {
            text.push_str(&format!("c=IN {family} {}\r\n", default.address));
            continue;
        }
        text.push_str(line);
    }
    text.push_str(tail);
    slot.sdp = text;
}
