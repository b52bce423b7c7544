//! Generates an answer: [RFC 9429, section 5.3](https://www.rfc-editor.org/rfc/rfc9429#section-5.3).

use std::collections::HashSet;

use super::Refusal;
use super::apply::{SdpType, Snapshot};
use super::description::{Description, Section, Setup};
use super::offer::{Ice, Local, data_section};

/// Makes the answer to the pending remote offer. Sections that we cannot speak are refused with port 0.
pub(crate) fn create_answer(snapshot: &Snapshot, local: Local) -> Result<Description, Refusal> {
    let slots = &snapshot.slots;
    let Some(offer) = slots.pending_remote.as_ref() else {
        return Err(Refusal::InvalidState("There is no remote offer to answer".into()));
    };
    let offer = offer.parse()?;
    let provisional = slots.pending_local.as_ref().map(|slot| slot.parse()).transpose()?;
    let current = slots.current_local.as_ref().map(|slot| slot.parse()).transpose()?;
    let answered = slots.current_remote.as_ref().map(|slot| slot.parse()).transpose()?;

    let accepted = offer.data_section();
    let transports = offer.transports();
    let mut sections = Vec::with_capacity(offer.sections.len());
    for (index, offered) in offer.sections.iter().enumerate() {
        if Some(index) != accepted {
            sections.push(offered.refused());
            continue;
        }
        let transport = &offer.sections[transports[index]];
        let same = |description: &Option<Description>| {
            let section = description.as_ref()?.sections.get(index)?;
            (section.is_data() && !section.is_rejected()).then(|| section.clone())
        };
        // A provisional answer fixed the credentials of this exchange; otherwise they change when the offer restarts ICE.
        let (previous, ice) = match (same(&provisional), same(&current)) {
            (Some(provisional), _) => (provisional, Ice::Keep),
            (None, Some(current)) => {
                let before = answered.as_ref().and_then(|remote| {
                    let transport = *remote.transports().get(index)?;
                    remote.sections[transport].ice.clone()
                });
                let ice = if before == transport.ice {
                    Ice::Keep
                } else {
                    Ice::Restart
                };
                (current, ice)
            }
            (None, None) => (Section::default(), Ice::Restart),
        };
        let setup = answered_setup(transport.setup, established_setup(snapshot, index)?);
        let previous = Section {
            mid: offered.mid.clone(),
            ..previous
        };
        let mut section = data_section(&previous, &local, setup, ice);
        section.protocol.clone_from(&offered.protocol);
        sections.push(section);
    }

    // RFC 9143, section 7.3: a group of the answer holds what is left of the offered one.
    let accepted: HashSet<&str> = sections
        .iter()
        .filter(|section| !section.is_rejected())
        .filter_map(|section| section.mid.as_deref())
        .collect();
    let bundle = offer
        .bundle
        .iter()
        .map(|group| {
            group
                .iter()
                .filter(|mid| accepted.contains(mid.as_str()))
                .cloned()
                .collect::<Vec<_>>()
        })
        .filter(|group| !group.is_empty())
        .collect();
    let ice2 = offer
        .ice_options
        .iter()
        .chain(offer.sections.iter().flat_map(|section| &section.ice_options));
    let ice2 = ice2.into_iter().any(|option| option == "ice2");
    Ok(Description {
        origin: local.origin,
        ice_options: if ice2 {
            vec!["trickle".into(), "ice2".into()]
        } else {
            vec!["trickle".into()]
        },
        bundle,
        sections,
        ..Description::default()
    })
}

/// Our role in the DTLS connection that is there already, as the last answer decided it.
fn established_setup(snapshot: &Snapshot, index: usize) -> Result<Option<Setup>, Refusal> {
    let (Some(local), Some(remote)) = (&snapshot.slots.current_local, &snapshot.slots.current_remote) else {
        return Ok(None);
    };
    let (answer, is_ours) = if local.kind == SdpType::Answer {
        (local, true)
    } else {
        (remote, false)
    };
    let answer = answer.parse()?;
    let Some(section) = answer
        .sections
        .get(index)
        .filter(|section| section.is_data() && !section.is_rejected())
    else {
        return Ok(None);
    };
    let answerer_is_active = section.setup != Some(Setup::Passive);
    Ok(Some(if answerer_is_active == is_ours {
        Setup::Active
    } else {
        Setup::Passive
    }))
}

/// RFC 8842, section 5.3: `actpass` leaves the choice to us, and a role once taken stays.
fn answered_setup(offered: Option<Setup>, established: Option<Setup>) -> Setup {
    match offered {
        Some(Setup::Active) => Setup::Passive,
        Some(Setup::Passive) => Setup::Active,
        Some(Setup::Actpass | Setup::Holdconn) | None => established.unwrap_or(Setup::Active),
    }
}
