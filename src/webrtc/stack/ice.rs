//! The ICE agent of one transport, on `rtc::ice`: <https://www.rfc-editor.org/rfc/rfc8445>.
//!
//! The crate checks every pair at each tick and ticks five times a second for ever; here the ticks
//! are ours: quick at first, then backing off, then once a second to keep consent fresh
//! (<https://www.rfc-editor.org/rfc/rfc7675>).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::crypto::RTCCryptoProvider;
use rtc::ice::agent::agent_config::AgentConfig;
use rtc::ice::agent::{Agent, Event};
use rtc::ice::state::ConnectionState;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::candidate::{RemoteCandidate, attribute, host_candidate};
use super::{Path, Transmit};

/// More remote candidates than this are ignored: each costs checks to an address the peer chose.
const MAX_REMOTE_CANDIDATES: usize = 100;
/// Checks that arrive before the remote description.
const MAX_EARLY_CHECKS: usize = 8;
/// Milliseconds between rounds of checks; the last value repeats.
const CHECK_PACE: [u64; 7] = [20, 20, 40, 80, 160, 320, 500];
/// At the pace above a pair is tried for about half a minute.
const MAX_CHECKS: u16 = 60;
/// How long to look for a pair once the peer has named all its candidates; it may still be that
/// its checks come from an address that it could not know.
const CHECKING_LIMIT: Duration = Duration::from_secs(15);
const CONNECTED_TICK: Duration = Duration::from_secs(1);

/// Who nominates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IceRole {
    /// The offerer, unless the peer is lite.
    Controlling,
    /// The answerer.
    Controlled,
}

/// `RTCIceTransportState`, without the states that only JavaScript knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IceState {
    /// Waiting for both descriptions.
    New,
    /// Checking pairs.
    Checking,
    /// A pair is selected.
    Connected,
    /// No answer for five seconds.
    Disconnected,
    /// No answer for thirty seconds, or no pair works.
    Failed,
}

/// A username fragment and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// `a=ice-ufrag`.
    pub(crate) username_fragment: String,
    /// `a=ice-pwd`.
    pub(crate) password: String,
}

/// What came out of a call.
#[derive(Debug)]
pub(super) enum IceEvent {
    State(IceState),
    Selected { local: String, remote: String },
}

struct Remote {
    credentials: Credentials,
    role: IceRole,
    candidates: Vec<RemoteCandidate>,
    complete: bool,
}

/// One ICE transport.
pub(super) struct Ice {
    provider: Arc<dyn RTCCryptoProvider>,
    agent: Option<Agent>,
    local: Option<Credentials>,
    /// The next generation's halves; a restart happens when both are there, so that the old
    /// session carries data until then.
    next_local: Option<Credentials>,
    next_remote: Option<Remote>,
    started_with: Option<Credentials>,
    role: IceRole,
    bases: Vec<SocketAddr>,
    /// Remote candidates that came before the credentials.
    waiting: Vec<RemoteCandidate>,
    early: Vec<TaggedBytesMut>,
    /// The last check with USE-CANDIDATE; see [`Self::after_response`].
    nomination: Option<TaggedBytesMut>,
    next_contact: Option<Instant>,
    started: Option<Instant>,
    /// Whether the peer has named all its candidates.
    complete: bool,
    /// Whether checking has been given up.
    gave_up: bool,
    rounds: usize,
    last_nudge: Option<Instant>,
    state: IceState,
    selected: Option<Path>,
    proven: Option<Path>,
}

impl Ice {
    pub(super) fn new(provider: Arc<dyn RTCCryptoProvider>) -> Self {
        Self {
            provider,
            agent: None,
            local: None,
            next_local: None,
            next_remote: None,
            started_with: None,
            role: IceRole::Controlled,
            bases: Vec::new(),
            waiting: Vec::new(),
            early: Vec::new(),
            nomination: None,
            next_contact: None,
            started: None,
            complete: false,
            gave_up: false,
            rounds: 0,
            last_nudge: None,
            state: IceState::New,
            selected: None,
            proven: None,
        }
    }

    /// The pair that data is sent on.
    pub(super) fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// Sets our half. Other credentials later begin a restart.
    pub(super) fn set_local(&mut self, now: Instant, credentials: Credentials) -> Result<(), Error> {
        if self.agent.is_none() {
            self.agent = Some(self.new_agent(now, &credentials)?);
            self.local = Some(credentials);
        } else if self.local.as_ref() != Some(&credentials) {
            self.next_local = Some(credentials);
        }
        self.advance(now)
    }

    /// Sets the peer's half and our role. Other credentials later begin a restart.
    pub(super) fn set_remote(&mut self, now: Instant, credentials: Credentials, role: IceRole) -> Result<(), Error> {
        if self.started_with.as_ref() != Some(&credentials) {
            let candidates = std::mem::take(&mut self.waiting);
            self.next_remote = Some(Remote {
                credentials,
                role,
                candidates,
                complete: std::mem::take(&mut self.complete),
            });
        }
        self.advance(now)
    }

    fn new_agent(&self, now: Instant, credentials: &Credentials) -> Result<Agent, Error> {
        let config = AgentConfig {
            local_ufrag: credentials.username_fragment.clone(),
            local_pwd: credentials.password.clone(),
            // The ticks are ours, so the agent must act at each of them.
            check_interval: Duration::from_nanos(1),
            max_binding_requests: Some(MAX_CHECKS),
            prflx_acceptance_min_wait: Some(Duration::ZERO),
            srflx_acceptance_min_wait: Some(Duration::from_millis(100)),
            relay_acceptance_min_wait: Some(Duration::from_millis(300)),
            ..AgentConfig::default()
        };
        Agent::new(now, Arc::new(config), self.provider.clone())
    }

    /// Starts or restarts the checks once both halves of a generation are known.
    fn advance(&mut self, now: Instant) -> Result<(), Error> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        if self.next_remote.is_none() || (self.started_with.is_some() && self.next_local.is_none()) {
            return Ok(());
        }
        let Some(remote) = self.next_remote.take() else {
            return Ok(());
        };
        if self.started_with.is_some()
            && let Some(local) = self.next_local.take()
        {
            agent.restart(now, local.username_fragment.clone(), local.password.clone(), false)?;
            for (index, base) in self.bases.iter().enumerate() {
                agent.add_local_candidate(host_candidate(index, *base)?)?;
            }
            self.local = Some(local);
            self.nomination = None;
        }
        let Credentials {
            username_fragment,
            password,
        } = remote.credentials.clone();
        agent.start_connectivity_checks(now, remote.role == IceRole::Controlling, username_fragment, password)?;
        for candidate in remote.candidates {
            // A candidate of the wrong kind is refused; the others are checked.
            let _ = agent.add_remote_candidate(candidate.0);
        }
        self.role = remote.role;
        self.started_with = Some(remote.credentials);
        self.started = Some(now);
        self.complete = remote.complete;
        self.gave_up = false;
        self.rounds = 0;
        self.next_contact = Some(now);
        for check in std::mem::take(&mut self.early) {
            self.handle_input(now, check);
        }
        Ok(())
    }

    /// Adds a socket's address and says its candidate attribute.
    pub(super) fn add_local_candidate(&mut self, now: Instant, base: SocketAddr) -> Result<String, Error> {
        let candidate = host_candidate(self.bases.len(), base)?;
        let value = attribute(&candidate);
        self.bases.push(base);
        if let Some(agent) = &mut self.agent {
            agent.add_local_candidate(candidate)?;
        }
        self.contact_soon(now);
        Ok(value)
    }

    pub(super) fn add_remote_candidate(&mut self, now: Instant, candidate: RemoteCandidate) {
        if let Some(next) = &mut self.next_remote {
            if next.candidates.len() < MAX_REMOTE_CANDIDATES {
                next.candidates.push(candidate);
            }
            return;
        }
        match &mut self.agent {
            Some(agent) if self.started_with.is_some() => {
                let known = agent.get_remote_candidates();
                if known.len() < MAX_REMOTE_CANDIDATES && !known.iter().any(|other| other.addr() == candidate.0.addr())
                {
                    // A candidate of the wrong kind is refused; the others are checked.
                    let _ = agent.add_remote_candidate(candidate.0);
                    self.contact_soon(now);
                }
            }
            _ => {
                if self.waiting.len() < MAX_REMOTE_CANDIDATES {
                    self.waiting.push(candidate);
                }
            }
        }
    }

    /// The peer has named all its candidates.
    pub(super) fn end_remote_candidates(&mut self) {
        match &mut self.next_remote {
            Some(next) => next.complete = true,
            None => self.complete = true,
        }
    }

    fn contact_soon(&mut self, now: Instant) {
        if self.started_with.is_some() && self.selected.is_none() {
            self.rounds = 0;
            self.next_contact = Some(now);
        }
    }

    /// Takes one STUN message. What is wrong with it concerns nobody else: it is dropped.
    pub(super) fn handle_input(&mut self, now: Instant, check: TaggedBytesMut) {
        let Some(agent) = self.agent.as_mut().filter(|_| self.started_with.is_some()) else {
            if self.early.len() < MAX_EARLY_CHECKS {
                self.early.push(check);
            }
            return;
        };
        let is_response = check.message.first() == Some(&1);
        let known = agent.get_remote_candidates();
        if !is_response
            && known.len() >= 2 * MAX_REMOTE_CANDIDATES
            && !known
                .iter()
                .any(|candidate| candidate.addr() == check.transport.peer_addr)
        {
            return;
        }
        let known = known.len();
        let connecting = agent.get_selected_candidate_pair().is_none();
        let nomination =
            (connecting && self.role == IceRole::Controlled && asks_for_use(&check.message)).then(|| TaggedBytesMut {
                now,
                transport: check.transport,
                message: check.message.clone(),
            });
        if agent.handle_read(check).is_err() {
            return;
        }
        if agent.get_remote_candidates().len() > known {
            // The triggered check of section 7.3.1.4, which the crate leaves to the next tick as controlling.
            self.contact_soon(now);
        }
        if nomination.is_some() {
            self.nomination = nomination;
        }
        if is_response && connecting {
            self.after_response(now);
        }
    }

    /// A pair may just have become valid: nominate now, as controlling, instead of at the next tick.
    /// As controlled, a nomination that came before our own check had succeeded is remembered
    /// here, since the crate forgets it (RFC 8445 section 7.3.1.5).
    fn after_response(&mut self, now: Instant) {
        let Some(agent) = &mut self.agent else { return };
        match self.role {
            IceRole::Controlling => {
                if self
                    .last_nudge
                    .is_none_or(|last| now >= last + Duration::from_millis(10))
                {
                    self.last_nudge = Some(now);
                    // Only fails for mDNS, which is off.
                    let _ = agent.handle_timeout(now);
                }
            }
            IceRole::Controlled => {
                if let Some(check) = self.nomination.take() {
                    let again = TaggedBytesMut {
                        now,
                        transport: check.transport,
                        message: check.message.clone(),
                    };
                    // It was authenticated when it first came.
                    let _ = agent.handle_read(again);
                    if agent.get_selected_candidate_pair().is_none() {
                        self.nomination = Some(check);
                    }
                }
            }
        }
    }

    /// Whether data from this address may be looked at: it is the peer's by a connectivity check.
    pub(super) fn validates(&mut self, now: Instant, path: Path) -> bool {
        if self.selected == Some(path) || self.proven == Some(path) {
            return true;
        }
        let valid = self
            .agent
            .as_mut()
            .is_some_and(|agent| agent.is_valid_non_stun_traffic(now, context(path)));
        if valid {
            self.proven = Some(path);
        }
        valid
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next_contact
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let Some(agent) = &mut self.agent else { return };
        if self.next_contact.is_none_or(|due| now < due) {
            return;
        }
        let late = self.started.is_some_and(|started| now >= started + CHECKING_LIMIT);
        if self.complete && late && agent.get_selected_candidate_pair().is_none() {
            self.gave_up = true;
            self.next_contact = None;
            return;
        }
        // Only fails for mDNS, which is off.
        let _ = agent.handle_timeout(now);
        self.next_contact = Some(if agent.get_selected_candidate_pair().is_some() {
            now + CONNECTED_TICK
        } else {
            let pace = CHECK_PACE[self.rounds.min(CHECK_PACE.len() - 1)];
            self.rounds += 1;
            now + Duration::from_millis(pace)
        });
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        let output = self.agent.as_mut()?.poll_write()?;
        let path = Path {
            local: output.transport.local_addr,
            remote: output.transport.peer_addr,
        };
        Some(Transmit {
            path,
            datagram: output.message,
        })
    }

    pub(super) fn poll_event(&mut self) -> Option<IceEvent> {
        if self.gave_up && self.state != IceState::Failed {
            return Some(self.failed());
        }
        loop {
            match self.agent.as_mut()?.poll_event()?.event {
                Event::ConnectionStateChange(state) => {
                    let state = match state {
                        ConnectionState::Checking => IceState::Checking,
                        ConnectionState::Connected | ConnectionState::Completed => IceState::Connected,
                        ConnectionState::Disconnected => IceState::Disconnected,
                        ConnectionState::Failed => return Some(self.failed()),
                        // The enum is the crate's and open.
                        _ => continue,
                    };
                    if state != self.state {
                        self.state = state;
                        return Some(IceEvent::State(state));
                    }
                }
                Event::SelectedCandidatePairChange(local, remote) => {
                    self.selected = Some(Path {
                        local: local.base_addr(),
                        remote: remote.addr(),
                    });
                    self.nomination = None;
                    return Some(IceEvent::Selected {
                        local: attribute(&local),
                        remote: attribute(&remote),
                    });
                }
                Event::RoleChange(controlling) => {
                    self.role = if controlling {
                        IceRole::Controlling
                    } else {
                        IceRole::Controlled
                    };
                }
                // The enum is the crate's and open.
                _ => {}
            }
        }
    }

    /// No pair works, or consent has expired: nothing more may be sent.
    fn failed(&mut self) -> IceEvent {
        self.selected = None;
        self.proven = None;
        self.next_contact = None;
        self.state = IceState::Failed;
        IceEvent::State(IceState::Failed)
    }
}

pub(super) fn context(path: Path) -> TransportContext {
    TransportContext {
        local_addr: path.local,
        peer_addr: path.remote,
        transport_protocol: TransportProtocol::UDP,
        ecn: None,
    }
}

/// Whether a binding request carries USE-CANDIDATE (attribute 0x0025).
fn asks_for_use(message: &[u8]) -> bool {
    let Some((header, mut attributes)) = message.split_at_checked(20) else {
        return false;
    };
    if header[..2] != [0, 1] {
        return false;
    }
    while let [t0, t1, l0, l1, rest @ ..] = attributes {
        if [*t0, *t1] == [0, 0x25] {
            return true;
        }
        let padded = usize::from(u16::from_be_bytes([*l0, *l1])).next_multiple_of(4);
        let Some(next) = rest.get(padded..) else { return false };
        attributes = next;
    }
    false
}

/// Makes the message that the agent takes.
pub(super) fn tagged(now: Instant, path: Path, message: BytesMut) -> TaggedBytesMut {
    TaggedBytesMut {
        now,
        transport: context(path),
        message,
    }
}
