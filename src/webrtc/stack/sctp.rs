//! The SCTP association over DTLS, on `rtc::sctp`: <https://www.rfc-editor.org/rfc/rfc8831#section-6>.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::sctp::{
    Association, AssociationEvent, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, ServerConfig, TimerConfig, TransportConfig, max_payload_size_for_mtu,
};
use rtc::shared::TransportProtocol;

use super::dtls::{DtlsRole, PEER};
use super::guard::Guard;
use super::packet::{self, Chunk};

/// Fits IPv6's smallest MTU with DTLS and TURN around it.
const MTU: u32 = 1191;
/// Associations that a repeated INIT may begin; one of them gets connected.
const MAX_BEGUN: usize = 4;

/// What the association is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SctpParameters {
    /// `a=sctp-port` of the peer.
    pub(crate) remote_port: u16,
    /// Our `a=sctp-port`.
    pub(crate) local_port: u16,
    /// Bytes received and not yet read, at most; what the socket's buffer holds.
    pub(crate) receive_window: u32,
    /// Bytes handed to the association and not yet acknowledged, at most.
    pub(crate) send_window: usize,
    /// The longest message, both ways.
    pub(crate) max_message_size: u32,
}

/// A receive window that follows the socket's buffer, as ours does, is not larger.
const HONEST_WINDOW: u32 = 1024 * 1024;
const BELIEVED_WINDOW: u32 = 64 * 1024;
const BELIEVED_WINDOW_A_MILLISECOND: u32 = 16 * 1024;
/// How long INIT or COOKIE ECHO waits for its answer; doubled each time.
const FIRST_ATTEMPT: Duration = Duration::from_millis(100);
const MAX_BACKOFF: u32 = 5;
/// How long data waits for its acknowledgement beside two round trips; doubled each time.
const RETRANSMISSION: Duration = Duration::from_millis(400);
const MAX_RETRANSMISSION: Duration = Duration::from_secs(3);
/// The crate's timer for acknowledgements of its own; what is due sooner is that one.
const DELAYED_ACK: Duration = Duration::from_millis(200);
/// How long an acknowledgement waits for more to acknowledge. It holds a peer up that has a small window.
const ACK_DELAY: Duration = Duration::from_millis(20);
const DEFAULT_PORT: u16 = 5000;

/// One association, or the attempts at it.
pub(super) struct Sctp {
    endpoint: Endpoint,
    parameters: SctpParameters,
    guard: Guard,
    /// Whether the peer's window is larger than its socket's buffer can be.
    boasts: bool,
    shortest_round_trip: Duration,
    /// The crate begins a new association for each repeated INIT: all are kept until one connects.
    begun: Vec<(AssociationHandle, Association)>,
    connected: bool,
    attempts: u32,
    next_attempt: Instant,
    /// The association's next timeout, and since when it is that.
    due: Option<(Instant, Instant)>,
    /// The round trip is no longer than this.
    round_trip: Duration,
}

impl Sctp {
    pub(super) fn new(now: Instant, role: DtlsRole, parameters: SctpParameters, round_trip: Duration) -> Self {
        let mut config = EndpointConfig::default();
        config.max_payload_size(max_payload_size_for_mtu(MTU));
        let transport = TransportConfig::default()
            .with_max_message_size(parameters.max_message_size)
            .with_max_receive_buffer_size(parameters.receive_window)
            // ICE decides when the peer is gone; the association must not die before.
            .with_timer_config(TimerConfig {
                max_t1_init_retrans: usize::MAX,
                max_t1_cookie_retrans: usize::MAX,
                max_t2_shutdown_retrans: usize::MAX,
                max_t3_rtx_retrans: usize::MAX,
                max_reconfig_retrans: usize::MAX,
                max_ack_retrans: usize::MAX,
            });
        let server = (role == DtlsRole::Server).then(|| Arc::new(ServerConfig::new(transport.clone())));
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, Arc::new(config), server);
        let begun = match role {
            DtlsRole::Client => endpoint
                .connect(now, ClientConfig::new(transport), PEER)
                .into_iter()
                .collect(),
            DtlsRole::Server => Vec::new(),
        };
        Self {
            endpoint,
            parameters,
            guard: Guard::default(),
            boasts: false,
            shortest_round_trip: Duration::MAX,
            begun,
            connected: false,
            attempts: 0,
            next_attempt: now + FIRST_ATTEMPT,
            due: None,
            round_trip,
        }
    }

    /// The association once it is connected.
    pub(super) fn association(&mut self) -> Option<&mut Association> {
        self.begun
            .first_mut()
            .filter(|_| self.connected)
            .map(|(_, association)| association)
    }

    /// Whether the association was connected and has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.connected
            && self
                .begun
                .first()
                .is_some_and(|(_, association)| association.is_closed())
    }

    /// Whether [`Self::handle_input`] may have the packet.
    pub(super) fn admits(&mut self, packet: &[u8]) -> bool {
        self.guard.admits(packet)
    }

    /// Whether [`Self::transmit`] should not wait for the rest of a batch.
    pub(super) fn is_urgent(&self) -> bool {
        self.guard.is_disordered()
    }

    pub(super) fn handle_input(&mut self, now: Instant, packet: Bytes) {
        self.boasts |= packet::first_window(&packet).is_some_and(|window| window > HONEST_WINDOW);
        let packet = match self.boasts {
            true => packet::with_window(packet, self.believed_window()),
            false => packet,
        };
        if !self.connected && packet::chunks(&packet).next() == Some(Chunk::Init) {
            // Both ends send INIT, and ours may have come too early: as client, send it again at once.
            self.repeat(now);
        }
        match self.endpoint.handle(now, PEER, None, packet) {
            Some((handle, DatagramEvent::AssociationEvent(event))) => self.pass(handle, event),
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                if !self.connected {
                    if self.begun.len() == MAX_BEGUN {
                        self.begun.remove(0);
                    }
                    self.begun.push((handle, association));
                }
            }
            Some(_) | None => {}
        }
        if self.connected {
            self.attempts = 0;
            self.watch(now);
        }
    }

    /// What to have in flight to a peer whose window says nothing of its socket's buffer, which on Linux holds some
    /// hundred kilobytes; on a longer way less of it arrives at once.
    fn believed_window(&mut self) -> u32 {
        // The shortest round trip: a full buffer makes it longer, which must not let more in.
        if let Some((_, association)) = self.begun.first()
            && association.rtt() > Duration::ZERO
        {
            self.shortest_round_trip = self.shortest_round_trip.min(association.rtt());
        }
        let milliseconds = match self.shortest_round_trip {
            Duration::MAX => 0,
            shortest => shortest.as_millis().min(200) as u32,
        };
        BELIEVED_WINDOW + milliseconds * BELIEVED_WINDOW_A_MILLISECOND
    }

    fn pass(&mut self, handle: AssociationHandle, event: AssociationEvent) {
        if let Some((_, association)) = self.begun.iter_mut().find(|(begun, _)| *begun == handle) {
            association.handle_event(event);
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        for index in 0..self.begun.len() {
            while let Some(event) = self.begun[index].1.poll() {
                match event {
                    Event::Connected if !self.connected => {
                        self.connected = true;
                        let chosen = self.begun.swap_remove(index);
                        self.begun.clear();
                        self.begun.push(chosen);
                        self.endpoint.reject_new_associations();
                        return Some(Event::Connected);
                    }
                    // Data may come before the association is connected; it is looked for then.
                    event if self.connected => return Some(event),
                    _ => {}
                }
            }
        }
        None
    }

    /// Lets the next timer fire now.
    fn repeat(&mut self, now: Instant) {
        for (_, association) in &mut self.begun {
            if let Some(due) = association.poll_timeout() {
                association.handle_timeout(due.max(now));
            }
        }
    }

    /// Notes since when the association waits for what it waits for.
    fn watch(&mut self, now: Instant) {
        let due = self
            .begun
            .first()
            .and_then(|(_, association)| association.poll_timeout());
        if self.due.map(|(due, _)| due) != due {
            self.due = due.map(|due| (due, now));
        }
    }

    /// When a timer should fire. The crate retransmits after a second at the earliest and doubles
    /// that up to a minute; neither can be set, so the timer is made to fire earlier, as libwebrtc's
    /// does: <https://webrtc.googlesource.com/src/+/refs/heads/main/net/dcsctp/public/dcsctp_options.h>.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if !self.connected {
            let due = self
                .begun
                .iter()
                .filter_map(|(_, association)| association.poll_timeout())
                .min()?;
            return Some(due.min(self.next_attempt));
        }
        let (due, since) = self.due?;
        if due.saturating_duration_since(since) <= DELAYED_ACK {
            return Some(due.min(since + ACK_DELAY));
        }
        let backed_off = RETRANSMISSION * (1 << self.attempts.min(MAX_BACKOFF));
        Some(due.min(since + backed_off.min(MAX_RETRANSMISSION) + 2 * self.round_trip()))
    }

    fn round_trip(&self) -> Duration {
        match self.begun.first().map(|(_, association)| association.rtt()) {
            None | Some(Duration::ZERO) => self.round_trip,
            Some(measured) => measured,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        let acknowledges = self
            .due
            .is_some_and(|(due, since)| due.saturating_duration_since(since) <= DELAYED_ACK);
        if !self.connected || !acknowledges {
            self.attempts += 1;
        }
        if !self.connected {
            self.next_attempt = now + FIRST_ATTEMPT * (1 << self.attempts.min(MAX_BACKOFF));
        }
        self.repeat(now);
        self.watch(now);
    }

    /// Hands every packet that may be sent now to `write`.
    pub(super) fn transmit(&mut self, now: Instant, mut write: impl FnMut(Bytes)) {
        let ports = (self.parameters.local_port, self.parameters.remote_port);
        for (_, association) in &mut self.begun {
            while let Some(output) = association.poll_transmit(now) {
                let Payload::RawEncode(packets) = output.message else {
                    continue;
                };
                for packet in packets {
                    self.guard.sent(&packet);
                    // After a timeout the window is one packet: its acknowledgement must not wait.
                    let packet = if self.connected && self.attempts > 0 {
                        packet::urgent(packet)
                    } else {
                        packet
                    };
                    if ports == (DEFAULT_PORT, DEFAULT_PORT) {
                        write(packet);
                    } else {
                        write(packet::with_ports(&packet, ports));
                    }
                }
            }
        }
        self.watch(now);
    }

    /// Ends the association with an ABORT, which the next [`Self::transmit`] sends.
    pub(super) fn abort(&mut self) {
        for (_, association) in &mut self.begun {
            // Ending it twice is harmless.
            let _ = association.abort();
        }
    }
}
