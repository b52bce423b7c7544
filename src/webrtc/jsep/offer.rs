//! Generates an offer: [RFC 9429, section 5.2](https://www.rfc-editor.org/rfc/rfc9429#section-5.2).

use std::collections::HashSet;

use super::Refusal;
use super::apply::Snapshot;
use super::description::{Description, Fingerprint, IceCredentials, Kind, Origin, Section, Setup, mid_or_place};

/// The SCTP port inside DTLS; every implementation uses this one.
pub(crate) const SCTP_PORT: u16 = 5000;

/// What an offer or answer is made from, besides the descriptions so far.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) origin: Origin,
    /// Credentials never used before, for a transport that is new or restarts.
    pub(crate) fresh: IceCredentials,
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// The largest message that this side receives, in bytes.
    pub(crate) max_message_size: u64,
}

/// Whether an offer restarts ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ice {
    Keep,
    Restart,
}

/// Whether the connection has data channels that need a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Wanted,
    Unwanted,
}

/// Makes the offer that fits the snapshot.
pub(crate) fn create_offer(snapshot: &Snapshot, local: Local, ice: Ice, data: Data) -> Result<Description, Refusal> {
    let pending = snapshot
        .slots
        .pending_local
        .as_ref()
        .map(|slot| slot.parse())
        .transpose()?;
    let current = snapshot
        .slots
        .current_local
        .as_ref()
        .map(|slot| slot.parse())
        .transpose()?;
    let answered = snapshot
        .slots
        .current_remote
        .as_ref()
        .map(|slot| slot.parse())
        .transpose()?;

    // A section is stopped when either side of the exchange in force refused it, unless a pending offer uses it anew.
    let refused_by_peer = |index: usize| {
        pending.is_none()
            && answered
                .as_ref()
                .and_then(|remote| remote.sections.get(index))
                .is_some_and(Section::is_rejected)
    };
    let base = pending
        .as_ref()
        .or(current.as_ref())
        .map(|base| base.sections.as_slice())
        .unwrap_or_default();
    let mut data_section = None;
    let mut sections: Vec<Section> = Vec::with_capacity(base.len() + 1);
    for (index, previous) in base.iter().enumerate() {
        let named = Section {
            mid: Some(mid_or_place(previous, index)),
            ..previous.clone()
        };
        if previous.is_data() && !previous.is_rejected() && !refused_by_peer(index) && data_section.is_none() {
            data_section = Some(index);
            sections.push(offered_data(&named, &local, ice));
        } else {
            sections.push(named.refused());
        }
    }
    if data_section.is_none() && data == Data::Wanted {
        let recyclable = if pending.is_none() {
            sections.iter().position(Section::is_rejected)
        } else {
            None
        };
        let index = recyclable.unwrap_or(sections.len());
        let mid = unused_mid(
            index,
            &[Some(&sections), answered.as_ref().map(|remote| &remote.sections)],
        );
        let section = offered_data(
            &Section {
                mid: Some(mid),
                ..Section::default()
            },
            &local,
            Ice::Restart,
        );
        match sections.get_mut(index) {
            Some(place) => *place = section,
            None => sections.push(section),
        }
    }

    let bundle: Vec<String> = sections
        .iter()
        .filter(|section| !section.is_rejected())
        .filter_map(|section| section.mid.clone())
        .collect();
    Ok(Description {
        origin: local.origin,
        ice_options: vec!["trickle".into(), "ice2".into()],
        bundle: if bundle.is_empty() { vec![] } else { vec![bundle] },
        sections,
        ..Description::default()
    })
}

/// The data section of an offer; `previous` is the one before it, or holds no more than a mid.
fn offered_data(previous: &Section, local: &Local, ice: Ice) -> Section {
    data_section(previous, local, Setup::Actpass, ice)
}

/// A data section with our transport in it. RFC 8841, section 10.
pub(crate) fn data_section(previous: &Section, local: &Local, setup: Setup, ice: Ice) -> Section {
    let kept = match ice {
        Ice::Keep => previous.ice.clone(),
        Ice::Restart => None,
    };
    let (candidates, end_of_candidates) = match kept {
        Some(_) => (previous.candidates.clone(), previous.end_of_candidates),
        None => (Vec::new(), false),
    };
    Section {
        kind: Kind::Application,
        port: 9,
        protocol: "UDP/DTLS/SCTP".into(),
        formats: vec!["webrtc-datachannel".into()],
        mid: previous.mid.clone(),
        ice: Some(kept.unwrap_or_else(|| local.fresh.clone())),
        fingerprints: local.fingerprints.clone(),
        setup: Some(setup),
        sctp_port: Some(SCTP_PORT),
        max_message_size: Some(local.max_message_size),
        candidates,
        end_of_candidates,
        ..Section::default()
    }
}

/// The first number from `start` that no section uses as its mid.
fn unused_mid(start: usize, used: &[Option<&Vec<Section>>]) -> String {
    let used: HashSet<&str> = used
        .iter()
        .flatten()
        .flat_map(|sections| sections.iter())
        .filter_map(|s| s.mid.as_deref())
        .collect();
    (start..)
        .map(|n| n.to_string())
        .find(|mid| !used.contains(mid.as_str()))
        .expect("the numbers do not end")
}
