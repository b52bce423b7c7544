//! Why there is no session, or no longer: for the operator, who reads it on a diagnostics channel. A script gets a
//! `WebTransportError`, which says nothing of it when there never was a session.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use quinn::{ConnectionError, TransportErrorCode};

use super::http3::Violation;
use super::session::WebTransportEvent;
use crate::error::system_code;
use crate::hub::{Payload, Port};

/// What was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The host's addresses were looked for.
    Dns,
    /// QUIC made a connection to one of them.
    Connect,
    /// TLS was negotiated in it.
    Tls,
    /// The server was to say what it understands.
    Settings,
    /// It was asked for a session.
    Request,
    /// At a server: a client was to ask for something, or has.
    Handshake,
    /// Nothing: the session was there, and broke.
    Session,
    /// Whatever it was, the script gave up.
    Abort,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Settings => "settings",
            Self::Request => "request",
            Self::Handshake => "handshake",
            Self::Session => "session",
            Self::Abort => "abort",
        }
    }
}

/// What is being done for a session that is not there yet.
pub(crate) struct UnderWay(Mutex<Phase>);

impl Default for UnderWay {
    fn default() -> Self {
        Self(Mutex::new(Phase::Dns))
    }
}

impl UnderWay {
    /// This is being done now.
    pub(crate) fn is(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// What was begun last.
    pub(crate) fn phase(&self) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    phase: Phase,
    /// A name in the manner of Node's `error.code`.
    code: &'static str,
    /// The status of the answer, or 0.
    status: u16,
    /// For people.
    message: Cow<'static, str>,
}

impl Cause {
    /// A failure that only its code tells apart.
    pub(crate) fn new(phase: Phase, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            phase,
            code,
            status: 0,
            message: message.into(),
        }
    }

    /// One that is always the same.
    pub(crate) const fn fixed(phase: Phase, code: &'static str, message: &'static str) -> Self {
        Self {
            phase,
            code,
            status: 0,
            message: Cow::Borrowed(message),
        }
    }

    /// The same, where that is answered with this status.
    pub(crate) const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// No address for the name.
    pub(crate) fn unknown_host(error: &io::Error) -> Self {
        let message = format!("the server's name could not be resolved ({error})");
        Self::new(Phase::Dns, "ENOTFOUND", message)
    }

    /// The system refused a socket.
    pub(crate) fn system(error: &io::Error) -> Self {
        Self::new(Phase::Connect, system_code(error), error.to_string())
    }

    /// The host has no address of the local address's family.
    pub(crate) fn other_family() -> Self {
        let message = "the host has no address of localAddress's family";
        Self::new(Phase::Connect, "EADDRNOTAVAIL", message)
    }

    /// The time for all steps together was up in this one.
    pub(crate) fn timed_out(phase: Phase) -> Self {
        Self::new(phase, "ETIMEDOUT", "the server did not answer in time")
    }

    /// The script has given the session up before it was there.
    pub(crate) fn aborted() -> Self {
        Self::new(Phase::Abort, "ABORT_ERR", "the session was given up")
    }

    /// The server has nobody on this connection for a session.
    pub(crate) fn refused(message: &'static str) -> Self {
        Self::new(Phase::Request, "ERR_REQUEST_REFUSED", message)
    }

    /// The answer has this status.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::new(
                Phase::Request,
                "ERR_REQUEST_STATUS",
                format!("the server answered with status {status}"),
            )
        }
    }

    /// The peer broke HTTP/3 or WebTransport.
    pub(crate) fn violation(phase: Phase, violation: &Violation) -> Self {
        let message = format!("the peer broke the protocol: {}", violation.rule);
        Self::new(phase, "ERR_HTTP3_PROTOCOL", message)
    }

    /// The connection is gone.
    pub(crate) fn lost(phase: Phase, error: &ConnectionError) -> Self {
        let failed = || format!("the connection failed ({error})");
        match error {
            ConnectionError::TimedOut => Self::new(phase, "ETIMEDOUT", "the peer has not answered for too long"),
            ConnectionError::ApplicationClosed(close) => {
                let message = format!("the peer closed the connection ({close})");
                Self::new(phase, "ERR_CLOSED_BY_PEER", message)
            }
            ConnectionError::ConnectionClosed(close) => {
                let message = format!("the peer closed the connection ({close})");
                match alert(close.error_code) {
                    // What it does not like: an alert says little, and less of us than of it.
                    Some(_) => Self::new(Phase::Tls, "EPROTO", message),
                    None => Self::new(phase, "ERR_CLOSED_BY_PEER", message),
                }
            }
            ConnectionError::Reset => Self::new(phase, "ECONNRESET", "the peer has forgotten the connection"),
            ConnectionError::LocallyClosed => Self::new(phase, "ERR_CLOSED", "the connection was closed"),
            ConnectionError::TransportError(cause) => match alert(cause.code) {
                Some(alert) => Self::new(Phase::Tls, certificate_code(alert), failed()),
                None => Self::new(phase, "ERR_QUIC_PROTOCOL", failed()),
            },
            ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
                Self::new(phase, "ERR_QUIC_PROTOCOL", failed())
            }
        }
    }

    /// Tells JavaScript.
    pub(crate) fn emit(&self, port: &Arc<Port>) {
        let text = self.to_text();
        port.emit(WebTransportEvent::Failed, self.status.into(), 0, Payload::Text(&text));
    }

    /// For the event: phase, code and text, with NULs between them.
    fn to_text(&self) -> String {
        [self.phase.as_str(), self.code, &self.message].join("\0")
    }

    /// Why a server has not let this client in: status, phase, code, address, port and text, with NULs between them.
    pub(crate) fn of_client(&self, client: SocketAddr) -> String {
        let status = self.status.to_string();
        let (address, port) = (client.ip().to_canonical().to_string(), client.port().to_string());
        let fields = [&status, self.phase.as_str(), self.code, &address, &port, &self.message];
        fields.join("\0")
    }
}

/// The alert of TLS in a code of QUIC: RFC 9001, section 4.8.
fn alert(code: TransportErrorCode) -> Option<u8> {
    u8::try_from(u64::from(code).checked_sub(0x100)?).ok()
}

/// The names that Node has for what is wrong with a certificate, as far as the alert with which we refuse it tells.
fn certificate_code(alert: u8) -> &'static str {
    match alert {
        44 => "CERT_REVOKED",
        45 => "CERT_HAS_EXPIRED",
        48 => "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        // Bad, unsupported, unknown, not among the hashes.
        42 | 43 | 46 | 49 => "CERT_REJECTED",
        _ => "EPROTO",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_travel_as_fields() {
        let cause = Cause::status(404);
        assert_eq!(cause.status, 404);
        assert_eq!(
            cause.to_text(),
            "request\0ERR_REQUEST_STATUS\0the server answered with status 404"
        );
    }

    #[test]
    fn alerts_are_of_tls_whenever_they_come() {
        let code = TransportErrorCode::crypto;
        assert_eq!(alert(code(48)), Some(48));
        assert_eq!(alert(TransportErrorCode::PROTOCOL_VIOLATION), None);
        let close = quinn::ConnectionClose {
            error_code: code(116),
            frame_type: None,
            reason: bytes::Bytes::new(),
        };
        let late = Cause::lost(Phase::Settings, &ConnectionError::ConnectionClosed(close.clone()));
        assert_eq!((late.phase, late.code), (Phase::Tls, "EPROTO"));
        let close = quinn::ConnectionClose {
            error_code: TransportErrorCode::CONNECTION_REFUSED,
            ..close
        };
        let refused = Cause::lost(Phase::Connect, &ConnectionError::ConnectionClosed(close));
        assert_eq!((refused.phase, refused.code), (Phase::Connect, "ERR_CLOSED_BY_PEER"));
    }
}
