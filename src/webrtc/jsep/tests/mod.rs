//! The signalling functions on real descriptions, on tables of bad ones, and through whole exchanges.

mod candidates;
mod checks;
mod exchanges;
mod parsing;

use super::Refusal;
use super::answer::create_answer;
use super::apply::{Changes, DtlsRole, IceRole, SdpType, Side, SignalingState, Slots, Snapshot, apply, transition};
use super::description::{Fingerprint, IceCredentials, Kind, Origin};
use super::offer::{Data, Ice, Local, create_offer};
use super::parse::{MAX_BYTES, parse};
use super::samples::{AIORTC, CHROMIUM, CHROMIUM_MEDIA, FIREFOX, LIBDATACHANNEL};
use super::trickle::{RemoteCandidate, add_local_candidate, add_remote_candidate};

/// One end of an exchange: the slots that `web/` would hold.
struct Peer {
    snapshot: Snapshot,
    name: &'static str,
    credentials: u32,
    version: u32,
}

impl Peer {
    fn new(name: &'static str) -> Self {
        let snapshot = Snapshot {
            state: SignalingState::Stable,
            slots: Slots::default(),
        };
        Self {
            snapshot,
            name,
            credentials: 0,
            version: 0,
        }
    }

    fn local(&mut self) -> Local {
        self.credentials += 1;
        self.version += 1;
        let byte = format!("{:02X}", self.name.len());
        Local {
            origin: Origin {
                session_id: "1".into(),
                version: self.version.to_string(),
            },
            fresh: IceCredentials {
                username_fragment: format!("{}{:04}", self.name, self.credentials),
                password: format!("{}{:022}", self.name, self.credentials),
            },
            fingerprints: vec![Fingerprint {
                algorithm: "sha-256".into(),
                value: [byte.as_str(); 32].join(":"),
            }],
            max_message_size: 262_144,
        }
    }

    fn offer(&mut self, ice: Ice) -> String {
        let local = self.local();
        create_offer(&self.snapshot, local, ice, Data::Wanted)
            .expect("an offer")
            .to_string()
    }

    fn answer(&mut self) -> String {
        let local = self.local();
        create_answer(&self.snapshot, local).expect("an answer").to_string()
    }

    fn set(&mut self, side: Side, kind: SdpType, sdp: &str) -> Result<Changes, Refusal> {
        let changes = apply(&self.snapshot, side, kind, sdp)?;
        self.snapshot = Snapshot {
            state: changes.state,
            slots: changes.slots.clone(),
        };
        Ok(changes)
    }

    fn local_fragment(&self) -> String {
        let slots = &self.snapshot.slots;
        let slot = slots
            .pending_local
            .as_ref()
            .or(slots.current_local.as_ref())
            .expect("a local description");
        fragment(&slot.sdp)
    }
}

fn fragment(sdp: &str) -> String {
    let description = parse(sdp).expect("SDP");
    let index = description.data_section().expect("a data section");
    description.sections[index]
        .ice
        .clone()
        .expect("credentials")
        .username_fragment
}

/// A whole exchange; returns what each side is to connect.
fn negotiate(offerer: &mut Peer, answerer: &mut Peer, ice: Ice) -> (Changes, Changes) {
    let offer = offerer.offer(ice);
    offerer.set(Side::Local, SdpType::Offer, &offer).expect("local offer");
    answerer
        .set(Side::Remote, SdpType::Offer, &offer)
        .expect("remote offer");
    let answer = answerer.answer();
    let answered = answerer
        .set(Side::Local, SdpType::Answer, &answer)
        .expect("local answer");
    let offered = offerer
        .set(Side::Remote, SdpType::Answer, &answer)
        .expect("remote answer");
    (offered, answered)
}

fn line_of(refusal: Result<impl std::fmt::Debug, Refusal>) -> Option<u32> {
    refusal.expect_err("refused").line()
}
