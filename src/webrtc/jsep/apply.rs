//! Sets a description: the signalling state machine of
//! [webrtc-pc 4.4.1.5](https://w3c.github.io/webrtc-pc/#set-the-session-description) and
//! [RFC 9429, section 3.5.1](https://www.rfc-editor.org/rfc/rfc9429#section-3.5.1) as a function from slots to slots.

use super::Refusal;
use super::check::{InForce, check_answer, check_offer, check_remote};
use super::description::{Description, Fingerprint, IceCredentials, Section, Setup, mid_or_place, with_lines};
use super::parse::parse;

/// `RTCSignalingState` without "closed", in which nothing is applied.
///
/// ```text
///                     local offer            remote offer
///   have-local-offer <------------- stable -------------> have-remote-offer
///     |    |                          ^ ^                           |    |
///     |    +-- remote answer ---------+ +--------- local answer ----+    |
///     | remote pranswer               ^ ^              local pranswer    |
///     v                               | |                                v
///   have-remote-pranswer -- answer ---+ +--- answer -- have-local-pranswer
/// ```
///
/// A rollback by the side that offered leads back to stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalingState {
    Stable,
    HaveLocalOffer,
    HaveRemoteOffer,
    HaveLocalPranswer,
    HaveRemotePranswer,
}

/// `RTCSdpType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SdpType {
    Offer,
    Pranswer,
    Answer,
    Rollback,
}

/// Whose description is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Local,
    Remote,
}

/// A description in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) kind: SdpType,
    pub(crate) sdp: String,
}

impl Slot {
    /// The description; it was parsed before it got into the slot, so an error is the caller's own text.
    pub(crate) fn parse(&self) -> Result<Description, Refusal> {
        parse(&self.sdp)
    }
}

/// The four description slots of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) current_local: Option<Slot>,
    pub(crate) current_remote: Option<Slot>,
    pub(crate) pending_local: Option<Slot>,
    pub(crate) pending_remote: Option<Slot>,
}

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) state: SignalingState,
    pub(crate) slots: Slots,
}

/// What follows from a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) state: SignalingState,
    pub(crate) slots: Slots,
    /// The local end of the data transport as it is now: gather for it, unless that was done for these credentials.
    pub(crate) gather: Option<Gather>,
    /// After an answer: the transport to connect, or to go on with.
    pub(crate) connect: Option<Connect>,
    /// Whether there is a data section in use: in the offer, after the answer, or in force again after a rollback.
    pub(crate) has_data: bool,
    /// What the remote description says about trickling; `None` when there is none.
    pub(crate) can_trickle: Option<bool>,
}

/// A local transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gather {
    pub(crate) mid: String,
    pub(crate) index: usize,
    pub(crate) ice: IceCredentials,
}

/// Our part in the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    Client,
    Server,
}

/// Our part in ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IceRole {
    Controlling,
    Controlled,
}

/// Both ends of a transport and the SCTP association on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) ice_role: IceRole,
    pub(crate) dtls_role: DtlsRole,
    pub(crate) remote_ice: IceCredentials,
    pub(crate) remote_fingerprints: Vec<Fingerprint>,
    pub(crate) candidates: Vec<String>,
    pub(crate) end_of_candidates: bool,
    pub(crate) local_sctp_port: u16,
    pub(crate) remote_sctp_port: u16,
    /// In bytes, 0 when the peer sets no limit.
    pub(crate) remote_max_message_size: u64,
}

/// The state that a description leads to; `None` when it may not be set in this one.
pub(crate) const fn transition(state: SignalingState, side: Side, kind: SdpType) -> Option<SignalingState> {
    use SignalingState as S;
    match (kind, side, state) {
        (SdpType::Offer, Side::Local, S::Stable | S::HaveLocalOffer) => Some(S::HaveLocalOffer),
        (SdpType::Offer, Side::Remote, S::Stable | S::HaveRemoteOffer) => Some(S::HaveRemoteOffer),
        (SdpType::Answer, Side::Local, S::HaveRemoteOffer | S::HaveLocalPranswer) => Some(S::Stable),
        (SdpType::Answer, Side::Remote, S::HaveLocalOffer | S::HaveRemotePranswer) => Some(S::Stable),
        (SdpType::Pranswer, Side::Local, S::HaveRemoteOffer | S::HaveLocalPranswer) => Some(S::HaveLocalPranswer),
        (SdpType::Pranswer, Side::Remote, S::HaveLocalOffer | S::HaveRemotePranswer) => Some(S::HaveRemotePranswer),
        (SdpType::Rollback, Side::Local, S::HaveLocalOffer) | (SdpType::Rollback, Side::Remote, S::HaveRemoteOffer) => {
            Some(S::Stable)
        }
        _ => None,
    }
}

/// Applies a description to the snapshot. A refused one changes nothing.
pub(crate) fn apply(snapshot: &Snapshot, side: Side, kind: SdpType, sdp: &str) -> Result<Changes, Refusal> {
    let Some(state) = transition(snapshot.state, side, kind) else {
        return Err(Refusal::InvalidState(format!(
            "A {side:?} {kind:?} cannot be set in the state {:?}",
            snapshot.state
        )));
    };
    let before = &snapshot.slots;
    if kind == SdpType::Rollback {
        return rolled_back(state, before);
    }
    let description = parse(sdp)?;
    let (same_before, other_before) = match side {
        Side::Local => (&before.current_local, &before.current_remote),
        Side::Remote => (&before.current_remote, &before.current_local),
    };
    let same_side = same_before.as_ref().map(Slot::parse).transpose()?;
    let other_side = other_before.as_ref().map(Slot::parse).transpose()?;
    let in_force = match (&same_side, &other_side) {
        (Some(same_side), Some(other_side)) => Some(InForce { same_side, other_side }),
        _ => None,
    };
    if side == Side::Remote {
        check_remote(&description)?;
    }
    let slot = Slot {
        kind,
        sdp: sdp.to_owned(),
    };
    let mut slots = before.clone();
    let mut changes = match kind {
        SdpType::Offer => {
            check_offer(&description, in_force)?;
            match side {
                Side::Local => slots.pending_local = Some(slot),
                Side::Remote => slots.pending_remote = Some(slot),
            }
            Changes {
                has_data: description.data_section().is_some(),
                ..unanswered(state, slots)
            }
        }
        SdpType::Pranswer | SdpType::Answer => {
            let offered = match side {
                Side::Local => &before.pending_remote,
                Side::Remote => &before.pending_local,
            };
            let offer = offered.as_ref().expect("an offer state has a pending offer").parse()?;
            check_answer(&description, &offer, in_force)?;
            match (kind, side) {
                (SdpType::Pranswer, Side::Local) => slots.pending_local = Some(slot),
                (SdpType::Pranswer, Side::Remote) => slots.pending_remote = Some(slot),
                (_, Side::Local) => {
                    slots.current_local = Some(slot);
                    slots.current_remote = slots.pending_remote.take();
                    slots.pending_local = None;
                }
                (_, Side::Remote) => {
                    slots.current_remote = Some(slot);
                    slots.current_local = slots.pending_local.take();
                    slots.pending_remote = None;
                }
            }
            let (local, remote) = match side {
                Side::Local => (&description, &offer),
                Side::Remote => (&offer, &description),
            };
            let connect = connect(side, &description, local, remote);
            Changes {
                has_data: connect.is_some(),
                connect,
                ..unanswered(state, slots)
            }
        }
        SdpType::Rollback => unreachable!("handled above"),
    };
    if side == Side::Local {
        changes.gather = gather(&description);
        keep_candidates(&mut changes.slots, before)?;
    }
    let remote = changes
        .slots
        .pending_remote
        .as_ref()
        .or(changes.slots.current_remote.as_ref());
    changes.can_trickle = remote.map(Slot::parse).transpose()?.map(|remote| remote.can_trickle());
    Ok(changes)
}

fn unanswered(state: SignalingState, slots: Slots) -> Changes {
    Changes {
        state,
        slots,
        gather: None,
        connect: None,
        has_data: false,
        can_trickle: None,
    }
}

fn rolled_back(state: SignalingState, before: &Slots) -> Result<Changes, Refusal> {
    let slots = Slots {
        pending_local: None,
        pending_remote: None,
        ..before.clone()
    };
    let local = slots.current_local.as_ref().map(Slot::parse).transpose()?;
    let remote = slots.current_remote.as_ref().map(Slot::parse).transpose()?;
    let has_data = |side: &Option<Description>| side.as_ref().is_some_and(|side| side.data_section().is_some());
    Ok(Changes {
        gather: local.as_ref().and_then(gather),
        has_data: has_data(&local) && has_data(&remote),
        can_trickle: remote.map(|remote| remote.can_trickle()),
        ..unanswered(state, slots)
    })
}

/// The local transport of a description of ours.
fn gather(local: &Description) -> Option<Gather> {
    let index = local.data_section()?;
    let transport = *local.transports().get(index)?;
    Some(Gather {
        mid: mid_or_place(&local.sections[index], index),
        index,
        ice: local.sections[transport].ice.clone()?,
    })
}

/// The transport that an answer (of `side`) settles, if both sides have the data section in use.
fn connect(side: Side, answer: &Description, local: &Description, remote: &Description) -> Option<Connect> {
    let index = answer.data_section()?;
    let ours = local.sections.get(index)?;
    let theirs = remote.sections.get(index)?;
    if ours.is_rejected() || theirs.is_rejected() {
        return None;
    }
    // The answer's bundle counts: its tagged section may be another one than the offer's.
    let tagged = *answer.transports().get(index)?;
    let setup = answer.sections[tagged].setup;
    let transport = remote.sections.get(tagged).filter(|section| section.ice.is_some());
    let transport = transport.or_else(|| remote.sections.get(*remote.transports().get(index)?))?;
    let remote_ice = transport.ice.clone()?;
    let same_transport = |section: &&Section| section.ice.as_ref() == Some(&remote_ice);
    let sections = || remote.sections.iter().filter(same_transport);
    let answerer_is_client = setup != Some(Setup::Passive);
    Some(Connect {
        ice_role: if side == Side::Remote || remote.ice_lite {
            IceRole::Controlling
        } else {
            IceRole::Controlled
        },
        dtls_role: if answerer_is_client == (side == Side::Local) {
            DtlsRole::Client
        } else {
            DtlsRole::Server
        },
        remote_fingerprints: transport.fingerprints.clone(),
        candidates: sections()
            .flat_map(|section| section.candidates.iter().cloned())
            .collect(),
        end_of_candidates: sections().any(|section| section.end_of_candidates),
        local_sctp_port: sctp_port(ours),
        remote_sctp_port: sctp_port(theirs),
        // RFC 8841, section 6.1: 64 KiB when the attribute is absent.
        remote_max_message_size: theirs.max_message_size.unwrap_or(65_536),
        remote_ice,
    })
}

/// The port of a data section; 5000 for the peers that leave the attribute out.
fn sctp_port(section: &Section) -> u16 {
    section.sctp_port.unwrap_or(super::offer::SCTP_PORT)
}

/// Candidates that were gathered between the making and the setting of a local description belong into it.
fn keep_candidates(slots: &mut Slots, before: &Slots) -> Result<(), Refusal> {
    let Some(known) = before.pending_local.as_ref().or(before.current_local.as_ref()) else {
        return Ok(());
    };
    let known = known.parse()?;
    let Some(new) = slots.pending_local.as_mut().or(slots.current_local.as_mut()) else {
        return Ok(());
    };
    let description = new.parse()?;
    let Some(section) = description.data_section().map(|index| &description.sections[index]) else {
        return Ok(());
    };
    let Some(known) = known
        .sections
        .iter()
        .find(|known| known.ice.is_some() && known.ice == section.ice)
    else {
        return Ok(());
    };
    let missing = known
        .candidates
        .iter()
        .filter(|candidate| !section.candidates.contains(candidate));
    let mut lines: Vec<String> = missing.map(|candidate| format!("a={candidate}")).collect();
    if known.end_of_candidates && !section.end_of_candidates {
        lines.push("a=end-of-candidates".into());
    }
    if !lines.is_empty() {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        new.sdp = with_lines(&new.sdp, &section.span, &lines);
    }
    Ok(())
}
