//! Checks a parsed description against the exchange so far: [RFC 9429, section 5.8](https://www.rfc-editor.org/rfc/rfc9429#section-5.8)
//! and the rules of BUNDLE (RFC 9143), ICE (RFC 8839) and DTLS (RFC 8842) that it names. Linear in the description.

use std::collections::HashMap;

use super::Refusal;
use super::description::{Description, IceCredentials, Section, Setup, mid_or_place};

/// The hashes that a certificate can be checked with (RFC 8122 without the broken ones).
const SAFE_HASHES: [&str; 4] = ["sha-224", "sha-256", "sha-384", "sha-512"];

/// The descriptions in force, if an exchange has been completed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InForce<'a> {
    /// Of the side whose description is checked.
    pub(crate) same_side: &'a Description,
    pub(crate) other_side: &'a Description,
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::InvalidAccess(message.into()))
}

/// Checks an offer.
pub(crate) fn check_offer(offer: &Description, in_force: Option<InForce<'_>>) -> Result<(), Refusal> {
    check_groups(offer)?;
    check_transports(offer)?;
    for section in offer.sections.iter().filter(|section| !section.is_rejected()) {
        if section.setup == Some(Setup::Holdconn) {
            return invalid("a=setup:holdconn has no place in WebRTC");
        }
    }
    let Some(in_force) = in_force else { return Ok(()) };
    if offer.sections.len() < in_force.same_side.sections.len() {
        return invalid("An offer has at least as many m-sections as the one before");
    }
    let before = in_force.same_side.sections.iter().zip(&in_force.other_side.sections);
    for (index, (section, (ours, theirs))) in offer.sections.iter().zip(before).enumerate() {
        // A section that either side refused may be used for something else.
        if ours.is_rejected() || theirs.is_rejected() {
            continue;
        }
        if section.kind != ours.kind || mid_or_place(section, index) != mid_or_place(ours, index) {
            return invalid("An m-section of the offer changed its type, its mid or its place");
        }
    }
    Ok(())
}

/// Checks an answer, provisional or final, to `offer`.
pub(crate) fn check_answer(
    answer: &Description,
    offer: &Description,
    in_force: Option<InForce<'_>>,
) -> Result<(), Refusal> {
    if answer.sections.len() != offer.sections.len() {
        return invalid("An answer has exactly the m-sections of its offer");
    }
    check_groups(answer)?;
    check_transports(answer)?;
    for (section, offered) in answer.sections.iter().zip(&offer.sections) {
        if section.kind != offered.kind
            || (section.mid.is_some() && offered.mid.is_some() && section.mid != offered.mid)
        {
            return invalid("An m-section of the answer has another type, mid or place than in the offer");
        }
        if section.is_rejected() {
            continue;
        }
        if offered.is_rejected() {
            return invalid("The answer accepts an m-section that was not offered");
        }
        match (section.setup, offered.setup) {
            (Some(Setup::Actpass | Setup::Holdconn), _) => {
                return invalid("The answer must choose a=setup:active or passive");
            }
            (Some(answer), Some(offer)) if answer == offer => return invalid("Both sides have the same a=setup"),
            _ => {}
        }
    }
    let mut offered_group: HashMap<&str, usize> = HashMap::new();
    for (number, group) in offer.bundle.iter().enumerate() {
        offered_group.extend(group.iter().map(|mid| (mid.as_str(), number)));
    }
    for group in &answer.bundle {
        let mut numbers = group.iter().map(|mid| offered_group.get(mid.as_str()));
        let first = numbers.next().flatten();
        if !group.is_empty() && (first.is_none() || numbers.any(|number| number != first)) {
            return invalid("The answer bundles what was not offered as a bundle");
        }
    }
    match in_force {
        Some(in_force) => {
            check_restart(answer, offer, in_force)?;
            check_association(answer, in_force.same_side)?;
            check_association(offer, in_force.other_side)
        }
        None => Ok(()),
    }
}

/// Checks what webrtc-pc asks of a remote description only: every RTP section has its RTCP on the same port.
pub(crate) fn check_remote(description: &Description) -> Result<(), Refusal> {
    let lacks_mux = |section: &Section| {
        section.protocol.contains("RTP/") && !section.is_rejected() && !section.bundle_only && !section.rtcp_mux
    };
    if description.sections.iter().any(lacks_mux) {
        return invalid("An RTP section without a=rtcp-mux");
    }
    Ok(())
}

/// Mids are unique; a BUNDLE group names sections that exist, and each at most once.
fn check_groups(description: &Description) -> Result<(), Refusal> {
    let mut bundled: HashMap<&str, bool> = HashMap::with_capacity(description.sections.len());
    for mid in description.sections.iter().filter_map(|section| section.mid.as_deref()) {
        if bundled.insert(mid, false).is_some() {
            return invalid(format!("Two m-sections have the mid {mid}"));
        }
    }
    for mid in description.bundle.iter().flatten() {
        match bundled.get_mut(mid.as_str()) {
            None => return invalid(format!("A BUNDLE group names the mid {mid}, which no m-section has")),
            Some(true) => return invalid(format!("The mid {mid} is bundled twice")),
            Some(seen) => *seen = true,
        }
    }
    Ok(())
}

/// Every section in use has ICE credentials and a fingerprint that can be trusted, of its own or of its bundle.
fn check_transports(description: &Description) -> Result<(), Refusal> {
    for (section, transport) in description.sections.iter().zip(description.transports()) {
        if section.is_rejected() || !section.protocol.contains("DTLS") && !section.protocol.contains("UDP/TLS") {
            continue;
        }
        let transport = &description.sections[transport];
        if transport.ice.is_none() {
            return invalid("An m-section without a=ice-ufrag and a=ice-pwd");
        }
        let is_safe = |fingerprint: &str| SAFE_HASHES.contains(&fingerprint);
        if !transport
            .fingerprints
            .iter()
            .any(|fingerprint| is_safe(&fingerprint.algorithm))
        {
            return invalid("An m-section without a fingerprint of a safe hash");
        }
        if !section.fingerprints.is_empty() && section.fingerprints != transport.fingerprints {
            return invalid("The m-sections of a bundle have different fingerprints");
        }
    }
    Ok(())
}

/// The credentials of the transport of section `index`.
fn credentials(description: &Description, transports: &[usize], index: usize) -> Option<IceCredentials> {
    description.sections.get(*transports.get(index)?)?.ice.clone()
}

/// RFC 8839, section 4.4.1.1.1: an answer has new credentials when, and only when, its offer has.
fn check_restart(answer: &Description, offer: &Description, in_force: InForce<'_>) -> Result<(), Refusal> {
    let (Some(index), Some(_)) = (answer.data_section(), in_force.same_side.data_section()) else {
        return Ok(());
    };
    let offerer_before = credentials(in_force.other_side, &in_force.other_side.transports(), index);
    let answerer_before = credentials(in_force.same_side, &in_force.same_side.transports(), index);
    let (Some(offerer_before), Some(answerer_before)) = (offerer_before, answerer_before) else {
        return Ok(());
    };
    let offered = credentials(offer, &offer.transports(), index);
    let answered = credentials(answer, &answer.transports(), index);
    let restarts = offered.as_ref() != Some(&offerer_before);
    let restarted = answered.as_ref() != Some(&answerer_before);
    match (restarts, restarted) {
        (true, false) => invalid("An ICE restart is answered with the old credentials"),
        (false, true) => invalid("The answer changes its ICE credentials without a restart"),
        (true, true) | (false, false) => Ok(()),
    }
}

/// A certificate cannot change under an established DTLS connection.
///
/// Differs from the spec: RFC 8842 lets an exchange start a new DTLS association; that is refused.
fn check_association(description: &Description, in_force: &Description) -> Result<(), Refusal> {
    let (Some(index), Some(before)) = (description.data_section(), in_force.data_section()) else {
        return Ok(());
    };
    let fingerprints = |description: &Description, index: usize| {
        description.sections[description.transports()[index]]
            .fingerprints
            .clone()
    };
    let (now, then) = (fingerprints(description, index), fingerprints(in_force, before));
    if index != before || now.iter().any(|fingerprint| then.contains(fingerprint)) {
        return Ok(());
    }
    Err(Refusal::Operation(
        "A new DTLS association on an established transport is not supported".into(),
    ))
}
