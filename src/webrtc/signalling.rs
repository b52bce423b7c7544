//! The door of [`jsep`](super::jsep): its pure functions as functions of the addon. JavaScript keeps the description
//! slots and passes them in; a refusal comes back as data, so that its line number survives.

use napi_derive::napi;

use super::jsep::answer;
use super::jsep::apply::{self, DtlsRole, IceRole, SdpType, Side, SignalingState, Slot, Slots, Snapshot};
use super::jsep::description::{Fingerprint, IceCredentials, Origin};
use super::jsep::offer::{self, Data, Ice, Local};
use super::jsep::trickle::{self, RemoteCandidate};
use super::jsep::{Refusal, candidate};

/// A description slot: `RTCSdpType` and text.
#[napi(object)]
pub struct SignallingSlot {
    /// `offer`, `pranswer` or `answer`.
    pub r#type: String,
    /// The text.
    pub sdp: String,
}

/// The four description slots of a connection.
#[napi(object)]
pub struct SignallingSlots {
    /// `[[CurrentLocalDescription]]`
    pub current_local: Option<SignallingSlot>,
    /// `[[CurrentRemoteDescription]]`
    pub current_remote: Option<SignallingSlot>,
    /// `[[PendingLocalDescription]]`
    pub pending_local: Option<SignallingSlot>,
    /// `[[PendingRemoteDescription]]`
    pub pending_remote: Option<SignallingSlot>,
}

/// ICE credentials of one end.
#[napi(object)]
pub struct SignallingIce {
    /// `a=ice-ufrag`
    pub username_fragment: String,
    /// `a=ice-pwd`
    pub password: String,
}

/// `RTCDtlsFingerprint`
#[napi(object)]
pub struct SignallingFingerprint {
    /// The hash function, as in SDP: `sha-256`.
    pub algorithm: String,
    /// Hexadecimal pairs with colons.
    pub value: String,
}

/// What a description of ours is made from.
#[napi(object)]
pub struct SignallingLocal {
    /// The session id of `o=`.
    pub session_id: String,
    /// The version of `o=`, one more with each description.
    pub version: u32,
    /// Credentials for a transport that is new or restarts.
    pub fresh_ice: SignallingIce,
    /// Of our certificates.
    pub fingerprints: Vec<SignallingFingerprint>,
    /// The largest message that we receive, in bytes.
    pub max_message_size: u32,
    /// Whether an offer restarts ICE.
    pub restart_ice: bool,
    /// Whether data channels need a section in an offer.
    pub wants_data: bool,
}

/// Why something was refused.
#[napi(object)]
pub struct SignallingRefusal {
    /// The name of the DOMException.
    pub name: String,
    /// For people.
    pub message: String,
    /// The line of a syntax error (then the exception is an RTCError).
    pub line: Option<u32>,
}

/// A local end that gathers.
#[napi(object)]
pub struct SignallingGather {
    /// The mid that its candidates carry.
    pub mid: String,
    /// The place of that section.
    pub index: u32,
    /// Its credentials.
    pub ice: SignallingIce,
}

/// Both ends of a transport, and SCTP on it.
#[napi(object)]
pub struct SignallingConnect {
    /// Whether our ICE agent is controlling.
    pub is_controlling: bool,
    /// Whether we are the DTLS client.
    pub is_dtls_client: bool,
    /// The peer's credentials.
    pub ice: SignallingIce,
    /// The peer's certificate must match one of these.
    pub fingerprints: Vec<SignallingFingerprint>,
    /// Candidates that the peer's description names, as `candidate:…`.
    pub candidates: Vec<String>,
    /// Whether it says that these are all.
    pub end_of_candidates: bool,
    /// `a=sctp-port` of ours.
    pub local_sctp_port: u32,
    /// `a=sctp-port` of the peer.
    pub remote_sctp_port: u32,
    /// `a=max-message-size` of the peer in bytes, 0 when it sets no limit.
    pub remote_max_message_size: f64,
}

/// What follows from a description that was set.
#[napi(object)]
pub struct SignallingChanges {
    /// The new signaling state.
    pub state: String,
    /// The new slots.
    pub slots: SignallingSlots,
    /// Our end of the data transport as it is now.
    pub gather: Option<SignallingGather>,
    /// After an answer with a data section in use.
    pub connect: Option<SignallingConnect>,
    /// Whether a data section is in use: offered, answered, or in force again after a rollback.
    pub has_data: bool,
    /// What the remote description says about trickling.
    pub can_trickle: Option<bool>,
}

/// The outcome of a call: the changes or the refusal.
#[napi(object)]
pub struct SignallingOutcome {
    /// Set when the call was refused; nothing else is set then.
    pub refusal: Option<SignallingRefusal>,
    /// The text that was made.
    pub sdp: Option<String>,
    /// What follows from the description that was set.
    pub changes: Option<SignallingChanges>,
    /// The slots with a candidate in them.
    pub slots: Option<SignallingSlots>,
    /// The generations, by ufrag, that a remote candidate belongs to.
    pub username_fragments: Option<Vec<String>>,
}

/// The parts of a candidate, in the words of `RTCIceCandidate`.
#[napi(object)]
pub struct SignallingCandidate {
    /// Equal for candidates of one base and kind.
    pub foundation: String,
    /// `rtp` or `rtcp`.
    pub component: String,
    /// As the peer ranks it.
    pub priority: u32,
    /// Address or name.
    pub address: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// 0 to 65535.
    pub port: u32,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub r#type: String,
    /// `active`, `passive` or `so`.
    pub tcp_type: Option<String>,
    /// The base of a reflexive candidate.
    pub related_address: Option<String>,
    /// The port of that base.
    pub related_port: Option<u32>,
    /// The generation that it says it belongs to.
    pub username_fragment: Option<String>,
}

/// Makes the offer that fits the slots.
#[napi(catch_unwind)]
pub fn create_offer(state: String, slots: SignallingSlots, local: SignallingLocal) -> SignallingOutcome {
    let ice = if local.restart_ice { Ice::Restart } else { Ice::Keep };
    let data = if local.wants_data { Data::Wanted } else { Data::Unwanted };
    outcome(snapshot(&state, slots).and_then(|snapshot| {
        let offer = offer::create_offer(&snapshot, local.into(), ice, data)?;
        Ok(SignallingOutcome {
            sdp: Some(offer.to_string()),
            ..empty()
        })
    }))
}

/// Makes the answer to the pending remote offer.
#[napi(catch_unwind)]
pub fn create_answer(state: String, slots: SignallingSlots, local: SignallingLocal) -> SignallingOutcome {
    outcome(snapshot(&state, slots).and_then(|snapshot| {
        let answer = answer::create_answer(&snapshot, local.into())?;
        Ok(SignallingOutcome {
            sdp: Some(answer.to_string()),
            ..empty()
        })
    }))
}

/// Sets a description of the peer (`is_remote`) or of ours.
#[napi(catch_unwind)]
pub fn apply_description(
    state: String,
    slots: SignallingSlots,
    is_remote: bool,
    r#type: String,
    sdp: String,
) -> SignallingOutcome {
    let side = if is_remote { Side::Remote } else { Side::Local };
    outcome(snapshot(&state, slots).and_then(|snapshot| {
        let changes = apply::apply(&snapshot, side, sdp_type(&r#type)?, &sdp)?;
        Ok(SignallingOutcome {
            changes: Some(changes.into()),
            ..empty()
        })
    }))
}

/// Whether a description of this type may be set in this state.
#[napi(catch_unwind)]
pub fn may_apply_description(state: String, is_remote: bool, r#type: String) -> bool {
    let side = if is_remote { Side::Remote } else { Side::Local };
    match (signaling_state(&state), sdp_type(&r#type)) {
        (Ok(state), Ok(kind)) => apply::transition(state, side, kind).is_some(),
        _ => false,
    }
}

/// Adds a candidate of the peer (empty: no more come) to the remote descriptions.
#[napi(catch_unwind)]
pub fn add_remote_candidate(
    slots: SignallingSlots,
    candidate: String,
    mid: Option<String>,
    index: Option<u32>,
    username_fragment: Option<String>,
) -> SignallingOutcome {
    let added = RemoteCandidate {
        candidate: &candidate,
        mid: mid.as_deref(),
        index: index.and_then(|index| u16::try_from(index).ok()),
        username_fragment: username_fragment.as_deref(),
    };
    outcome(Slots::try_from(slots).and_then(|slots| {
        let after = trickle::add_remote_candidate(&slots, added)?;
        Ok(SignallingOutcome {
            slots: Some(after.slots.into()),
            username_fragments: Some(after.username_fragments),
            ..empty()
        })
    }))
}

/// Adds a candidate of ours (empty: no more come) to the local descriptions of its generation.
#[napi(catch_unwind)]
pub fn add_local_candidate(slots: SignallingSlots, username_fragment: String, candidate: String) -> SignallingOutcome {
    outcome(Slots::try_from(slots).and_then(|slots| {
        let after = trickle::add_local_candidate(&slots, &username_fragment, &candidate)?;
        Ok(SignallingOutcome {
            slots: Some(after.into()),
            ..empty()
        })
    }))
}

/// Reads `candidate:…`; nothing when it is none.
#[napi(catch_unwind)]
pub fn parse_candidate(candidate: String) -> Option<SignallingCandidate> {
    let parsed = candidate::parse(&candidate)?;
    Some(SignallingCandidate {
        foundation: parsed.foundation.into(),
        component: parsed.component.as_str().into(),
        priority: parsed.priority,
        address: parsed.address.into(),
        protocol: parsed.protocol.as_str().into(),
        port: parsed.port.into(),
        r#type: parsed.kind.as_str().into(),
        tcp_type: parsed.tcp_type.map(|kind| kind.as_str().into()),
        related_address: parsed.related_address.map(Into::into),
        related_port: parsed.related_port.map(Into::into),
        username_fragment: parsed.username_fragment.map(Into::into),
    })
}

const fn empty() -> SignallingOutcome {
    SignallingOutcome {
        refusal: None,
        sdp: None,
        changes: None,
        slots: None,
        username_fragments: None,
    }
}

fn outcome(result: Result<SignallingOutcome, Refusal>) -> SignallingOutcome {
    result.unwrap_or_else(|refusal| SignallingOutcome {
        refusal: Some(SignallingRefusal {
            name: refusal.name().into(),
            message: refusal.message().into(),
            line: refusal.line(),
        }),
        ..empty()
    })
}

fn snapshot(state: &str, slots: SignallingSlots) -> Result<Snapshot, Refusal> {
    Ok(Snapshot {
        state: signaling_state(state)?,
        slots: slots.try_into()?,
    })
}

fn signaling_state(state: &str) -> Result<SignalingState, Refusal> {
    Ok(match state {
        "stable" => SignalingState::Stable,
        "have-local-offer" => SignalingState::HaveLocalOffer,
        "have-remote-offer" => SignalingState::HaveRemoteOffer,
        "have-local-pranswer" => SignalingState::HaveLocalPranswer,
        "have-remote-pranswer" => SignalingState::HaveRemotePranswer,
        other => return Err(Refusal::InvalidState(format!("The connection is {other}"))),
    })
}

const fn signaling_state_text(state: SignalingState) -> &'static str {
    match state {
        SignalingState::Stable => "stable",
        SignalingState::HaveLocalOffer => "have-local-offer",
        SignalingState::HaveRemoteOffer => "have-remote-offer",
        SignalingState::HaveLocalPranswer => "have-local-pranswer",
        SignalingState::HaveRemotePranswer => "have-remote-pranswer",
    }
}

fn sdp_type(kind: &str) -> Result<SdpType, Refusal> {
    Ok(match kind {
        "offer" => SdpType::Offer,
        "pranswer" => SdpType::Pranswer,
        "answer" => SdpType::Answer,
        "rollback" => SdpType::Rollback,
        other => return Err(Refusal::Operation(format!("{other} is no type of a description"))),
    })
}

impl TryFrom<SignallingSlots> for Slots {
    type Error = Refusal;

    fn try_from(slots: SignallingSlots) -> Result<Self, Refusal> {
        let slot = |slot: Option<SignallingSlot>| {
            slot.map(|slot| {
                Ok(Slot {
                    kind: sdp_type(&slot.r#type)?,
                    sdp: slot.sdp,
                })
            })
            .transpose()
        };
        Ok(Self {
            current_local: slot(slots.current_local)?,
            current_remote: slot(slots.current_remote)?,
            pending_local: slot(slots.pending_local)?,
            pending_remote: slot(slots.pending_remote)?,
        })
    }
}

impl From<Slots> for SignallingSlots {
    fn from(slots: Slots) -> Self {
        let slot = |slot: Option<Slot>| {
            slot.map(|slot| SignallingSlot {
                r#type: match slot.kind {
                    SdpType::Offer => "offer",
                    SdpType::Pranswer => "pranswer",
                    SdpType::Answer => "answer",
                    SdpType::Rollback => "rollback",
                }
                .into(),
                sdp: slot.sdp,
            })
        };
        Self {
            current_local: slot(slots.current_local),
            current_remote: slot(slots.current_remote),
            pending_local: slot(slots.pending_local),
            pending_remote: slot(slots.pending_remote),
        }
    }
}

impl From<SignallingLocal> for Local {
    fn from(local: SignallingLocal) -> Self {
        Self {
            origin: Origin {
                session_id: local.session_id,
                version: local.version.to_string(),
            },
            fresh: IceCredentials {
                username_fragment: local.fresh_ice.username_fragment,
                password: local.fresh_ice.password,
            },
            fingerprints: local
                .fingerprints
                .into_iter()
                .map(|fingerprint| Fingerprint {
                    algorithm: fingerprint.algorithm,
                    value: fingerprint.value.to_ascii_uppercase(),
                })
                .collect(),
            max_message_size: local.max_message_size.into(),
        }
    }
}

impl From<IceCredentials> for SignallingIce {
    fn from(ice: IceCredentials) -> Self {
        Self {
            username_fragment: ice.username_fragment,
            password: ice.password,
        }
    }
}

impl From<apply::Changes> for SignallingChanges {
    fn from(changes: apply::Changes) -> Self {
        Self {
            state: signaling_state_text(changes.state).into(),
            slots: changes.slots.into(),
            gather: changes.gather.map(|gather| SignallingGather {
                mid: gather.mid,
                index: u32::try_from(gather.index).expect("sections are limited"),
                ice: gather.ice.into(),
            }),
            connect: changes.connect.map(Into::into),
            has_data: changes.has_data,
            can_trickle: changes.can_trickle,
        }
    }
}

impl From<apply::Connect> for SignallingConnect {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a size above 2^53 means no limit all the same"
    )]
    fn from(connect: apply::Connect) -> Self {
        Self {
            is_controlling: connect.ice_role == IceRole::Controlling,
            is_dtls_client: connect.dtls_role == DtlsRole::Client,
            ice: connect.remote_ice.into(),
            fingerprints: connect
                .remote_fingerprints
                .into_iter()
                .map(|fingerprint| SignallingFingerprint {
                    algorithm: fingerprint.algorithm,
                    value: fingerprint.value,
                })
                .collect(),
            candidates: connect.candidates,
            end_of_candidates: connect.end_of_candidates,
            local_sctp_port: connect.local_sctp_port.into(),
            remote_sctp_port: connect.remote_sctp_port.into(),
            remote_max_message_size: connect.remote_max_message_size as f64,
        }
    }
}
