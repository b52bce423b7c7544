//! DTLS 1.2 for one transport, on `rtc::dtls`: <https://www.rfc-editor.org/rfc/rfc8827#section-6.5>.
//!
//! What the crate's handshake lacks stands here: fingerprints of every strength in both roles,
//! retransmission that backs off, and flights that survive loss (see [`Dtls::is_repeat`]).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::crypto::RTCCryptoProvider;
use rtc::dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc::dtls::crypto::Certificate;
use rtc::dtls::endpoint::{Endpoint, EndpointEvent};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::shared::TransportProtocol;
use rtc::shared::error::Error;

use super::fingerprint::{self, Fingerprint};

/// The engine knows one peer, by this name; real addresses come from the ICE pair at output.
pub(super) const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 65535);
const FLIGHT_INTERVAL: Duration = Duration::from_millis(50);
/// 50 ms doubled six times: the crate gives up at its eighth timeout.
const MAX_BACKOFF: u32 = 6;
/// Records of the next epoch that the crate would hold while its handshake runs.
const MAX_EARLY_RECORDS: u32 = 64;

/// Which end sends the ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    /// `a=setup:active`.
    Client,
    /// `a=setup:passive`.
    Server,
}

/// Why the transport failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DtlsFailure {
    /// The peer's certificate is not the one that its description vouches for.
    Fingerprint,
    /// The handshake failed; the text is for a person only.
    Handshake(String),
}

/// What came out of a call.
#[derive(Debug)]
pub(super) enum DtlsEvent {
    Connected { certificate: Vec<u8> },
    Data(Bytes),
    Closed,
    Failed(DtlsFailure),
}

#[derive(Default)]
struct Verdict {
    certificate: Vec<u8>,
    refused: bool,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum State {
    Handshaking,
    Connected,
    Ended,
}

/// One DTLS association.
pub(super) struct Dtls {
    endpoint: Endpoint,
    role: DtlsRole,
    config: Arc<HandshakeConfig>,
    verdict: Arc<Mutex<Verdict>>,
    state: State,
    /// Whether the flight that answers the peer's own (4 as server, 5 as client) has gone out.
    answered: bool,
    timeouts: u32,
    early_records: u32,
}

impl Dtls {
    pub(super) fn new(
        role: DtlsRole,
        certificate: Certificate,
        fingerprints: Vec<Fingerprint>,
        provider: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, Error> {
        let verdict = Arc::new(Mutex::new(Verdict::default()));
        let seen = verdict.clone();
        let verify = move |chain: &[Vec<u8>], _: &[_]| {
            let mut verdict = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match chain.first() {
                Some(leaf) if fingerprint::matches(leaf, &fingerprints) => {
                    verdict.certificate.clone_from(leaf);
                    Ok(())
                }
                _ => {
                    verdict.refused = true;
                    Err(Error::ErrInvalidCertificate)
                }
            }
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![certificate])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // The fingerprint is the authentication; there is no chain to verify.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(verify)))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_flight_interval(FLIGHT_INTERVAL)
            // Also without media: as server the crate refuses a client that offers use_srtp
            // when it has no profile, and browsers always offer it.
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            .build(role == DtlsRole::Client, None)?;
        let config = Arc::new(config);
        let server = (role == DtlsRole::Server).then(|| config.clone());
        Ok(Self {
            endpoint: Endpoint::new(PEER, TransportProtocol::UDP, server),
            role,
            config,
            verdict,
            state: State::Handshaking,
            answered: false,
            timeouts: 0,
            early_records: 0,
        })
    }

    /// Sends the ClientHello; does nothing as server.
    pub(super) fn connect(&mut self, now: Instant, events: &mut Vec<DtlsEvent>) {
        if self.role == DtlsRole::Client
            && let Err(error) = self.endpoint.connect(now, PEER, self.config.clone(), None)
        {
            self.fail(DtlsFailure::Handshake(error.to_string()), events);
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub(super) fn handle_input(&mut self, now: Instant, datagram: BytesMut, events: &mut Vec<DtlsEvent>) {
        match self.state {
            State::Ended => return,
            State::Handshaking => {
                if self.answered && self.is_repeat(&datagram) {
                    self.resend(now, events);
                    return;
                }
                if records(&datagram).any(|record| record.epoch > 0) {
                    self.early_records += 1;
                    if self.early_records > MAX_EARLY_RECORDS {
                        return;
                    }
                }
            }
            State::Connected => {}
        }
        let result = self.endpoint.read(now, PEER, None, datagram);
        self.timeouts = 0;
        match result {
            Ok(output) => {
                for event in output {
                    self.handle_event(event, events);
                }
            }
            Err(error) => self.handle_error(&error, events),
        }
    }

    fn handle_event(&mut self, event: EndpointEvent, events: &mut Vec<DtlsEvent>) {
        match event {
            EndpointEvent::HandshakeComplete => {
                let certificate = {
                    let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut verdict.certificate)
                };
                if certificate.is_empty() {
                    self.fail(DtlsFailure::Fingerprint, events);
                } else {
                    self.state = State::Connected;
                    events.push(DtlsEvent::Connected { certificate });
                }
            }
            EndpointEvent::ApplicationData(data) if self.state == State::Connected => {
                events.push(DtlsEvent::Data(data.freeze()));
            }
            EndpointEvent::PeerClosed if self.state != State::Ended => {
                self.state = State::Ended;
                events.push(DtlsEvent::Closed);
            }
            // The enum is the crate's and open.
            _ => {}
        }
    }

    /// Most errors only say that a datagram was junk, which anyone can send; these end the transport.
    fn handle_error(&mut self, error: &Error, events: &mut Vec<DtlsEvent>) {
        let refused = self.verdict.lock().unwrap_or_else(PoisonError::into_inner).refused;
        if refused {
            self.fail(DtlsFailure::Fingerprint, events);
        } else if matches!(error, Error::ErrAlertFatalOrClose | Error::ErrInvalidFsmTransition) {
            self.fail(DtlsFailure::Handshake(error.to_string()), events);
        }
    }

    fn fail(&mut self, failure: DtlsFailure, events: &mut Vec<DtlsEvent>) {
        if self.state != State::Ended {
            self.state = State::Ended;
            events.push(DtlsEvent::Failed(failure));
        }
    }

    /// Whether the datagram only repeats the flight that we have already answered.
    ///
    /// The crate stops its retransmission timer at any handshake record, even one that does not
    /// advance the handshake, so a lost flight of ours would never go again while the peer repeats
    /// its own. Repeats are kept from it and answered by our flight instead.
    fn is_repeat(&self, datagram: &[u8]) -> bool {
        let mut repeated = false;
        for record in records(datagram) {
            let previous = match self.role {
                DtlsRole::Client => matches!(record.message, Some(2 | 11..=14)),
                DtlsRole::Server => record.message == Some(1),
            };
            if record.epoch != 0 || !previous {
                return false;
            }
            repeated = true;
        }
        repeated
    }

    fn resend(&mut self, now: Instant, events: &mut Vec<DtlsEvent>) {
        let Some(timer) = self.endpoint.poll_timeout(&PEER) else {
            return;
        };
        // A flight arrives as several datagrams; one answer to all of them.
        let sent = timer.checked_sub(FLIGHT_INTERVAL).unwrap_or(timer);
        if now >= sent + FLIGHT_INTERVAL / 2 {
            self.fire(now, timer, events);
        }
    }

    fn fire(&mut self, now: Instant, timer: Instant, events: &mut Vec<DtlsEvent>) {
        if let Err(error) = self.endpoint.handle_timeout(PEER, now.max(timer)) {
            self.handle_error(&error, events);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.state != State::Handshaking {
            return None;
        }
        let timer = self.endpoint.poll_timeout(&PEER)?;
        let factor = (1 << self.timeouts.min(MAX_BACKOFF)) - 1;
        Some(timer + FLIGHT_INTERVAL * factor)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, events: &mut Vec<DtlsEvent>) {
        if let Some(due) = self.poll_timeout()
            && now >= due
        {
            self.timeouts += 1;
            self.fire(now, now, events);
        }
    }

    /// Encrypts one packet of application data.
    pub(super) fn write(&mut self, now: Instant, packet: &[u8]) {
        // Fails only when the association has ended, which an event has said.
        let _ = self.endpoint.write(now, PEER, packet);
    }

    pub(super) fn poll_transmit(&mut self, events: &mut Vec<DtlsEvent>) -> Option<BytesMut> {
        let datagram = self.endpoint.poll_transmit()?.message;
        if self.state == State::Handshaking {
            for record in records(&datagram) {
                self.answered |= match self.role {
                    DtlsRole::Client => record.message == Some(16),
                    DtlsRole::Server => record.message == Some(2),
                };
                if record.fatal_alert {
                    self.fail(DtlsFailure::Handshake("the handshake was refused".into()), events);
                }
            }
        }
        Some(datagram)
    }

    /// Sends close_notify.
    pub(super) fn close(&mut self, now: Instant) {
        self.state = State::Ended;
        // Closing twice is harmless.
        let _ = self.endpoint.close(now);
    }
}

struct Record {
    epoch: u16,
    /// The handshake message's type, when the record is a plain handshake record.
    message: Option<u8>,
    fatal_alert: bool,
}

fn records(mut datagram: &[u8]) -> impl Iterator<Item = Record> {
    std::iter::from_fn(move || {
        let [kind, _, _, e0, e1, _, _, _, _, _, _, l0, l1, rest @ ..] = datagram else {
            return None;
        };
        let epoch = u16::from_be_bytes([*e0, *e1]);
        let body = rest.get(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
        datagram = &rest[body.len()..];
        Some(Record {
            epoch,
            message: body.first().copied().filter(|_| *kind == 22 && epoch == 0),
            fatal_alert: *kind == 21 && epoch == 0 && body.first() == Some(&2),
        })
    })
}
