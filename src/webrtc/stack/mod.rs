//! One WebRTC transport without IO: ICE, DTLS, SCTP and data channels as a single machine.
//!
//! It reads no clock and owns no socket. Methods in groups: commands; [`Stack::handle_input`] and
//! [`Stack::handle_timeout`]; `poll_*`. After each input everything that it caused is carried
//! through all layers at once, so that nothing waits for a timer. A caller feeds a whole batch of
//! datagrams, then takes all of [`Stack::poll_event`] (which reads messages and so opens the window), then
//! all of [`Stack::poll_transmit`], until neither has any, and asks [`Stack::poll_timeout`] last.
//!
//! ```text
//! datagram -> demultiplexer -> ICE (STUN)
//!                           -> DTLS -> SCTP -> data channels
//!                           -> (S)RTP, (S)RTCP: media attaches here, keyed from DTLS
//! ```

mod candidate;
mod channels;
mod dcep;
mod demultiplexer;
mod dtls;
mod event;
mod fingerprint;
mod guard;
mod ice;
mod identity;
mod incoming;
mod packet;
mod sctp;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::sctp::Event;

pub(crate) use candidate::{RemoteCandidate, parse_candidate};
use channels::Channels;
pub(crate) use channels::{MessageKind, Origin};
pub(crate) use dcep::{ChannelParameters, Reliability};
use demultiplexer::Protocol;
use dtls::{Dtls, DtlsEvent};
pub(crate) use dtls::{DtlsFailure, DtlsRole};
pub(crate) use event::{Closed, Path, StackEvent, Transmit};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use ice::{Credentials, IceRole, IceState};
use ice::{Ice, IceEvent};
pub(crate) use identity::Identity;
use sctp::Sctp;
pub(crate) use sctp::SctpParameters;

/// Datagrams and packets kept until the layer that wants them exists.
const MAX_EARLY: usize = 8;
/// RFC 9260 section 6.2 asks for an acknowledgement of every second packet; in a batch they get sparser.
const FIRST_ANSWER: u32 = 2;

/// ICE, DTLS, SCTP and data channels of one transport.
pub(crate) struct Stack {
    identity: Identity,
    ice: Ice,
    dtls: Option<Dtls>,
    role: DtlsRole,
    handshake_began: Option<Instant>,
    sctp_parameters: Option<SctpParameters>,
    sctp: Option<Sctp>,
    sctp_ended: bool,
    channels: Channels,
    /// Where DTLS is answered before a pair is selected.
    reply_to: Option<Path>,
    early_datagrams: VecDeque<(Path, BytesMut)>,
    early_packets: VecDeque<Bytes>,
    /// Packets of this batch since the last acknowledgement, and how many call for the next: a single one for a
    /// whole batch would cost a timeout when it gets lost.
    unanswered: u32,
    answer_at: u32,
    transmits: VecDeque<Transmit>,
    events: VecDeque<StackEvent>,
    closed: bool,
}

impl Stack {
    /// A transport that does nothing yet.
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            ice: Ice::new(identity.provider.clone()),
            identity,
            dtls: None,
            role: DtlsRole::Client,
            handshake_began: None,
            sctp_parameters: None,
            sctp: None,
            sctp_ended: false,
            channels: Channels::default(),
            reply_to: None,
            early_datagrams: VecDeque::new(),
            early_packets: VecDeque::new(),
            unanswered: 0,
            answer_at: FIRST_ANSWER,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            closed: false,
        }
    }

    // Commands.

    /// Sets our ICE credentials; other ones later begin a restart.
    pub(crate) fn set_local_credentials(&mut self, now: Instant, credentials: Credentials) {
        if self.ice.set_local(now, credentials).is_err() {
            self.events.push_back(StackEvent::Ice(IceState::Failed));
        }
        self.after(now);
    }

    /// Sets the peer's ICE credentials and our role; other credentials later begin a restart.
    pub(crate) fn set_remote_credentials(&mut self, now: Instant, credentials: Credentials, role: IceRole) {
        if self.ice.set_remote(now, credentials, role).is_err() {
            self.events.push_back(StackEvent::Ice(IceState::Failed));
        }
        self.after(now);
    }

    /// Adds a socket; says its `candidate` attribute, or nothing when the address is unusable.
    pub(crate) fn add_local_candidate(&mut self, now: Instant, base: SocketAddr) -> Option<String> {
        self.ice.add_local_candidate(now, base).ok()
    }

    /// Adds one of the peer's candidates.
    pub(crate) fn add_remote_candidate(&mut self, now: Instant, candidate: RemoteCandidate) {
        self.ice.add_remote_candidate(now, candidate);
        self.after(now);
    }

    /// The peer has no more candidates.
    pub(crate) fn end_remote_candidates(&mut self) {
        self.ice.end_remote_candidates();
    }

    /// Begins DTLS, at once if ICE has a pair. Only the first call counts.
    pub(crate) fn start_dtls(&mut self, now: Instant, role: DtlsRole, fingerprints: Vec<Fingerprint>) {
        if self.dtls.is_some() || self.closed {
            return;
        }
        let Identity { certificate, provider } = self.identity.clone();
        match Dtls::new(role, certificate, fingerprints, provider) {
            Ok(dtls) => {
                self.role = role;
                self.dtls = Some(dtls);
            }
            Err(error) => {
                let failure = DtlsFailure::Handshake(error.to_string());
                self.events.push_back(StackEvent::DtlsFailed(failure));
            }
        }
        self.connect_dtls(now);
        self.after(now);
    }

    /// Begins the association, at once if DTLS is connected. Only the first call counts.
    pub(crate) fn start_sctp(&mut self, now: Instant, parameters: SctpParameters) {
        if self.sctp_parameters.is_none() {
            self.sctp_parameters = Some(parameters);
            self.connect_sctp(now);
            self.after(now);
        }
    }

    /// Makes a channel on a stream. It opens when the association is connected.
    pub(crate) fn open_channel(&mut self, now: Instant, id: u16, origin: Origin, parameters: ChannelParameters) {
        let association = self.sctp.as_mut().and_then(Sctp::association);
        if self.sctp_ended || self.closed {
            self.events.push_back(StackEvent::ChannelClosed {
                id,
                closed: Closed::Transport,
            });
        } else {
            self.channels.open(now, id, origin, parameters, association);
        }
    }

    /// Takes the messages of a channel that the peer announced.
    pub(crate) fn adopt_channel(&mut self, id: u16) {
        self.channels.adopt(id);
    }

    /// Leaves a channel's messages unread, which stops the peer once the window is full.
    pub(crate) fn pause_channel(&mut self, id: u16) {
        self.channels.pause(id);
    }

    /// Reads a channel's messages again.
    pub(crate) fn resume_channel(&mut self, id: u16) {
        self.channels.resume(id);
    }

    /// Queues a message on a channel.
    pub(crate) fn send(&mut self, id: u16, kind: MessageKind, data: Bytes) {
        self.channels.send(id, kind, data);
    }

    /// Closes a channel after what is queued on it.
    pub(crate) fn close_channel(&mut self, id: u16) {
        self.channels.close(id);
    }

    /// Ends everything; what [`Self::poll_transmit`] then says should still be sent.
    pub(crate) fn close(&mut self, now: Instant) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.gather(now);
        if let Some(sctp) = &mut self.sctp {
            sctp.abort();
        }
        self.gather(now);
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.gather(now);
    }

    // Input.

    /// Takes one datagram. Nothing in it can fail more than this transport.
    pub(crate) fn handle_input(&mut self, now: Instant, path: Path, datagram: BytesMut) {
        if self.closed {
            return;
        }
        match demultiplexer::classify(&datagram) {
            Protocol::Stun => self.ice.handle_input(now, ice::tagged(now, path, datagram)),
            Protocol::Dtls => self.handle_dtls(now, path, datagram),
            // Media attaches here; without any the datagram has no receiver.
            Protocol::Rtp | Protocol::Rtcp | Protocol::Other => return,
        }
        self.after(now);
    }

    fn handle_dtls(&mut self, now: Instant, path: Path, datagram: BytesMut) {
        let validated = self.ice.validates(now, path);
        let Some(dtls) = self.dtls.as_mut().filter(|_| validated) else {
            // The peer may be quicker than its description, or than our check of its address.
            if self.handshake_began.is_none() && self.early_datagrams.len() < MAX_EARLY {
                self.early_datagrams.push_back((path, datagram));
            }
            return;
        };
        if self.ice.selected().is_none() {
            self.reply_to = Some(path);
        }
        if self.handshake_began.is_none() {
            self.handshake_began = Some(now);
            self.events.push_back(StackEvent::DtlsConnecting);
        }
        let mut events = Vec::new();
        dtls.handle_input(now, datagram, &mut events);
        self.handle_dtls_events(now, events);
    }

    fn handle_dtls_events(&mut self, now: Instant, events: Vec<DtlsEvent>) {
        for event in events {
            match event {
                DtlsEvent::Connected { certificate } => {
                    self.events.push_back(StackEvent::DtlsConnected { certificate });
                    self.connect_sctp(now);
                }
                DtlsEvent::Data(packet) => self.handle_packet(now, packet),
                DtlsEvent::Closed => {
                    self.events.push_back(StackEvent::DtlsClosed);
                    self.end_sctp();
                }
                DtlsEvent::Failed(failure) => {
                    self.events.push_back(StackEvent::DtlsFailed(failure));
                    self.end_sctp();
                }
            }
        }
    }

    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let Some(sctp) = &mut self.sctp else {
            if self.early_packets.len() < MAX_EARLY {
                self.early_packets.push_back(packet);
            }
            return;
        };
        if !sctp.admits(&packet) {
            return;
        }
        let packet = match sctp.association() {
            Some(association) => self.channels.inspect(packet, association),
            None => packet,
        };
        sctp.handle_input(now, packet);
        let urgent = sctp.is_urgent();
        self.handle_sctp_events(now);
        self.unanswered += 1;
        if urgent || self.unanswered >= self.answer_at {
            self.answer_at = self.answer_at.saturating_mul(2);
            self.unanswered = 0;
            self.transmit_sctp(now);
        }
    }

    fn handle_sctp_events(&mut self, now: Instant) {
        let Some(sctp) = &mut self.sctp else { return };
        while let Some(event) = sctp.poll_event() {
            let Some(association) = sctp.association() else {
                continue;
            };
            match event {
                Event::Connected => {
                    let max_channels = association
                        .negotiated_max_streams()
                        .unwrap_or(u16::MAX)
                        .min(u16::MAX - 1);
                    self.events.push_back(StackEvent::SctpConnected { max_channels });
                    if let Some(parameters) = self.sctp_parameters {
                        let sizes = (parameters.max_message_size, parameters.send_window);
                        self.channels.connect(now, self.role, sizes, association);
                    }
                }
                event => self.channels.handle_event(event, association),
            }
        }
        if sctp.is_closed() {
            self.end_sctp();
        }
    }

    fn end_sctp(&mut self) {
        if !std::mem::replace(&mut self.sctp_ended, true) {
            self.events.append(&mut self.channels.events);
            self.channels.end_all();
            self.events.append(&mut self.channels.events);
            self.events.push_back(StackEvent::SctpClosed);
        }
    }

    fn connect_dtls(&mut self, now: Instant) {
        if self.ice.selected().is_none() {
            return;
        }
        if let Some(dtls) = &mut self.dtls
            && self.role == DtlsRole::Client
            && self.handshake_began.is_none()
        {
            self.handshake_began = Some(now);
            self.events.push_back(StackEvent::DtlsConnecting);
            let mut events = Vec::new();
            dtls.connect(now, &mut events);
            self.handle_dtls_events(now, events);
        }
    }

    fn connect_sctp(&mut self, now: Instant) {
        if self.sctp.is_some() || !self.dtls.as_ref().is_some_and(Dtls::is_connected) {
            return;
        }
        if let Some(parameters) = self.sctp_parameters {
            let round_trip = self
                .handshake_began
                .map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
            self.sctp = Some(Sctp::new(
                now,
                self.role,
                parameters,
                round_trip.min(Duration::from_secs(1)),
            ));
            for packet in std::mem::take(&mut self.early_packets) {
                self.handle_packet(now, packet);
            }
        }
    }

    /// Carries what an input caused through all layers.
    fn after(&mut self, now: Instant) {
        while let Some(event) = self.ice.poll_event() {
            match event {
                IceEvent::State(state) => self.events.push_back(StackEvent::Ice(state)),
                IceEvent::Selected { local, remote } => {
                    self.events.push_back(StackEvent::SelectedPair { local, remote });
                    self.connect_dtls(now);
                }
            }
        }
        if self.dtls.is_some() && self.handshake_began.is_none() && !self.early_datagrams.is_empty() {
            for (path, datagram) in std::mem::take(&mut self.early_datagrams) {
                self.handle_dtls(now, path, datagram);
            }
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.ice.handle_timeout(now);
        if let Some(dtls) = &mut self.dtls {
            let mut events = Vec::new();
            dtls.handle_timeout(now, &mut events);
            self.handle_dtls_events(now, events);
        }
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
            self.handle_sctp_events(now);
        }
        self.after(now);
    }

    // Output.

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if self.transmits.is_empty() && !self.closed {
            self.gather(now);
        }
        self.transmits.pop_front()
    }

    fn gather(&mut self, now: Instant) {
        while let Some(transmit) = self.ice.poll_transmit() {
            self.transmits.push_back(transmit);
        }
        (self.unanswered, self.answer_at) = (0, FIRST_ANSWER);
        self.transmit_sctp(now);
        let Some(dtls) = &mut self.dtls else { return };
        let path = self.ice.selected().or(self.reply_to);
        let mut events = Vec::new();
        while let Some(datagram) = dtls.poll_transmit(&mut events) {
            if let Some(path) = path {
                self.transmits.push_back(Transmit { path, datagram });
            }
        }
        self.handle_dtls_events(now, events);
    }

    fn transmit_sctp(&mut self, now: Instant) {
        let Some(dtls) = &mut self.dtls else { return };
        if let Some(sctp) = &mut self.sctp {
            if let Some(association) = sctp.association() {
                self.channels.flush(now, association);
            }
            let channels = &mut self.channels;
            sctp.transmit(now, |packet| dtls.write(now, &channels.outgoing(packet)));
            if sctp.poll_timeout().is_none() {
                self.channels.settle();
            }
        }
    }

    /// The next event. Messages are read here, one by one, so that a caller without room can
    /// pause the channel between two of them.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<StackEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some(event) = self.channels.events.pop_front() {
            return Some(event);
        }
        if self.sctp_ended || self.closed {
            return None;
        }
        let association = self.sctp.as_mut().and_then(Sctp::association)?;
        if let Some(event) = self.channels.poll_message(now, association) {
            return Some(event);
        }
        let update = self.channels.window_update();
        if let Some(sctp) = &mut self.sctp
            && let Some(packet) = update
        {
            sctp.handle_input(now, packet);
        }
        // Reading may have let a deferred reset through.
        self.handle_sctp_events(now);
        self.events.pop_front().or_else(|| self.channels.events.pop_front())
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        let sctp = self.sctp.as_ref().and_then(Sctp::poll_timeout);
        [self.ice.poll_timeout(), dtls, sctp].into_iter().flatten().min()
    }
}
