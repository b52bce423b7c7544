//! Why a connection failed. A script must not learn it
//! ([WHATWG](https://websockets.spec.whatwg.org/#feedback-from-the-protocol)); its operator reads it on a diagnostics
//! channel, so it travels as data beside the event that the script gets.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use super::extensions;
use super::handshake::{Refusal, ResponseFault};
use super::message::Failure;
use crate::error::system_code;

/// The peer ended the stream where it must not: the name that Node has for it.
const END_OF_FILE: &str = "EOF";

/// What was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The host's addresses were looked for.
    Dns,
    /// A connection to one of them was made.
    Connect,
    /// The proxy was asked for a way to the server.
    Proxy,
    /// TLS was negotiated.
    Tls,
    /// The opening handshake.
    Handshake,
    /// A server waits for clients.
    Listen,
    /// Nothing: the open connection broke.
    Transport,
    /// A frame of the peer was read.
    Frame,
    /// Whatever it was, the script gave up.
    Abort,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Listen => "listen",
            Self::Transport => "transport",
            Self::Frame => "frame",
            Self::Abort => "abort",
        }
    }
}

/// What failed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    phase: Phase,
    /// A name in the manner of Node's `error.code`.
    code: &'static str,
    /// The system call, as Node names it, or ''.
    syscall: &'static str,
    /// To whom.
    address: Option<SocketAddr>,
    /// The status of an HTTP answer or the code of our Close frame, or 0.
    pub(crate) number: u16,
    message: Cow<'static, str>,
}

impl Cause {
    /// A failure that only its code tells apart.
    pub(crate) fn new(phase: Phase, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            phase,
            code,
            syscall: "",
            address: None,
            number: 0,
            message: message.into(),
        }
    }

    /// The system refused a call.
    pub(crate) fn system(phase: Phase, syscall: &'static str, error: &io::Error) -> Self {
        Self {
            syscall,
            ..Self::new(phase, system_code(error), error.to_string())
        }
    }

    /// The same, while talking to this address.
    pub(crate) fn at(self, address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            ..self
        }
    }

    /// The time for all steps together was up in this one.
    pub(crate) fn timed_out(phase: Phase) -> Self {
        Self::new(phase, "ETIMEDOUT", "the time for the opening handshake is up")
    }

    /// The script closed the connection before it was open.
    pub(crate) fn aborted() -> Self {
        Self::new(
            Phase::Abort,
            "ABORT_ERR",
            "closed before the connection was established",
        )
    }

    /// A server's client whose request was accepted when its listener had ended.
    pub(crate) fn not_listening() -> Self {
        Self::new(
            Phase::Abort,
            "ABORT_ERR",
            "the server was closed before the client was answered",
        )
    }

    /// No sign of life within the time of the keep-alive.
    pub(crate) fn dead_peer() -> Self {
        Self::new(Phase::Transport, "ETIMEDOUT", "the peer does not answer pings")
    }

    /// More waits for the peer than may.
    pub(crate) fn slow_peer() -> Self {
        Self::new(
            Phase::Transport,
            "ENOBUFS",
            "the peer takes too little of what is sent to it",
        )
    }

    /// No address for the name.
    pub(crate) fn unknown_host(error: &io::Error) -> Self {
        Self {
            syscall: "getaddrinfo",
            ..Self::new(Phase::Dns, "ENOTFOUND", error.to_string())
        }
    }

    /// The script's own resolver failed.
    pub(crate) fn lookup(message: String) -> Self {
        Self::new(Phase::Dns, "ERR_LOOKUP", message)
    }

    /// The host has no address of the local address's family.
    pub(crate) fn other_family() -> Self {
        Self::new(
            Phase::Connect,
            "EADDRNOTAVAIL",
            "the host has no address of localAddress's family",
        )
    }

    /// The proxy answered CONNECT with this status.
    pub(crate) fn proxy_status(status: u16) -> Self {
        Self {
            number: status,
            ..Self::new(
                Phase::Proxy,
                "ERR_PROXY_STATUS",
                format!("the proxy answered {status}, not 200"),
            )
        }
    }

    /// The proxy's answer is none, or too long.
    pub(crate) fn proxy_malformed() -> Self {
        Self::new(Phase::Proxy, "ERR_PROXY_MALFORMED", "the proxy's answer cannot be read")
    }

    /// No certificate can be for such a host.
    pub(crate) fn nameless() -> Self {
        Self::new(
            Phase::Tls,
            "ERR_TLS_CERT_ALTNAME_INVALID",
            "no certificate can name this host",
        )
    }

    /// The peer ended the stream, or the system did.
    pub(crate) fn read(phase: Phase, error: Option<&io::Error>) -> Self {
        match error {
            Some(error) => Self::system(phase, "read", error),
            None => Self {
                syscall: "read",
                ..Self::new(phase, END_OF_FILE, "the peer ended the connection")
            },
        }
    }

    /// TLS failed: the names that Node has for what is wrong with a certificate.
    pub(crate) fn tls(error: &io::Error) -> Self {
        use rustls::{CertificateError as Certificate, Error as Tls};
        let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) else {
            return Self::system(Phase::Tls, "", error);
        };
        let code = match cause {
            Tls::InvalidCertificate(certificate) => match certificate {
                Certificate::Expired | Certificate::ExpiredContext { .. } => "CERT_HAS_EXPIRED",
                Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "CERT_NOT_YET_VALID",
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                    "ERR_TLS_CERT_ALTNAME_INVALID"
                }
                Certificate::UnknownIssuer => "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
                Certificate::Revoked => "CERT_REVOKED",
                _ => "CERT_REJECTED",
            },
            _ => "EPROTO",
        };
        Self::new(Phase::Tls, code, cause.to_string())
    }

    /// For the event: phase, code, syscall, address, port and text, with NULs between them.
    pub(crate) fn to_text(&self) -> String {
        let (address, port) = match self.address {
            Some(address) => (address.ip().to_canonical().to_string(), address.port().to_string()),
            None => (String::new(), String::new()),
        };
        let mut text = [self.phase.as_str(), self.code, self.syscall, &address, &port].join("\0");
        // A String takes everything.
        let _taken = write!(text, "\0{}", self.message);
        text
    }
}

impl From<ResponseFault> for Cause {
    fn from(fault: ResponseFault) -> Self {
        let (code, message) = match fault {
            ResponseFault::Malformed => ("ERR_HANDSHAKE_MALFORMED", "the answer is not HTTP/1.1 or too long"),
            ResponseFault::Status(status) => {
                return Self {
                    number: status,
                    ..Self::new(
                        Phase::Handshake,
                        "ERR_HANDSHAKE_STATUS",
                        format!("the server answered {status}, not 101"),
                    )
                };
            }
            ResponseFault::Upgrade => ("ERR_HANDSHAKE_UPGRADE", "the answer's Upgrade is not websocket"),
            ResponseFault::Connection => ("ERR_HANDSHAKE_CONNECTION", "the answer's Connection lacks Upgrade"),
            ResponseFault::Accept => ("ERR_HANDSHAKE_ACCEPT", "the answer's Sec-WebSocket-Accept is wrong"),
            ResponseFault::Extension(extensions::ResponseFault::Malformed) => {
                ("ERR_HANDSHAKE_EXTENSION", "Sec-WebSocket-Extensions is not well-formed")
            }
            ResponseFault::Extension(extensions::ResponseFault::NotOffered) => {
                ("ERR_HANDSHAKE_EXTENSION", "the server chose an extension not asked for")
            }
            ResponseFault::Extension(extensions::ResponseFault::Parameter) => (
                "ERR_HANDSHAKE_EXTENSION",
                "the server answered permessage-deflate with a parameter that is wrong or was not offered",
            ),
            ResponseFault::Protocol => (
                "ERR_HANDSHAKE_PROTOCOL",
                "the server chose none of the subprotocols asked for",
            ),
        };
        Self::new(Phase::Handshake, code, message)
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Self {
        let (number, message) = match refusal {
            Refusal::BadRequest => (400, "the request is no valid opening handshake"),
            Refusal::UpgradeRequired => (426, "the request asks for no upgrade to version 13 of WebSocket"),
            Refusal::HeadersTooLarge => (431, "the request is too long or has too many headers"),
        };
        Self {
            number,
            ..Self::new(Phase::Handshake, "ERR_HANDSHAKE_REQUEST", message)
        }
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self {
            number: failure.code,
            ..Self::new(Phase::Frame, "ERR_FRAME", failure.reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_travel_as_fields() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let cause = Cause::system(Phase::Connect, "connect", &refused).at(([127, 0, 0, 1], 80).into());
        assert_eq!(
            cause.to_text(),
            "connect\0ECONNREFUSED\0connect\x00127.0.0.1\x0080\0connection refused"
        );
        let status = Cause::from(ResponseFault::Status(404));
        assert_eq!(status.number, 404);
        assert!(
            status
                .to_text()
                .starts_with("handshake\0ERR_HANDSHAKE_STATUS\0\0\0\0the server answered 404")
        );
    }
}
