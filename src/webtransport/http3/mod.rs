//! HTTP/3 as WebTransport needs it, without IO: bytes and values in, bytes and values out.
//!
//! RFC 9114 (HTTP/3), RFC 9204 (QPACK), RFC 9220 (extended CONNECT), RFC 9297 (datagrams and capsules) and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html>.
//!
//! Start with [`request`] for what a client may ask, [`connect`] for what opens a session, [`frame`] for how it travels,
//! [`stream_header`] for how a stream finds its session, [`capsule`] for how a session ends, [`flow_control`] for what it
//! may use up.

pub(crate) mod capsule;
pub(crate) mod connect;
pub(crate) mod error_code;
pub(crate) mod exporter;
pub(crate) mod flow_control;
pub(crate) mod frame;
pub(crate) mod goaway;
pub(crate) mod qpack;
pub(crate) mod request;
pub(crate) mod settings;
pub(crate) mod stream_header;
pub(crate) mod structured_field;
pub(crate) mod varint;

use error_code::ErrorCode;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The end that asks for sessions.
    Client,
    /// The end that grants them.
    Server,
}

/// What a peer's mistake ends: RFC 9114, section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The stream that carried it; the connection lives on.
    Stream,
    /// The whole connection.
    Connection,
}

/// A peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What ends because of it.
    pub(crate) scope: Scope,
    /// The code to send.
    pub(crate) code: ErrorCode,
    /// Which rule, for the one who reads the error.
    pub(crate) rule: &'static str,
}

impl Violation {
    /// A mistake that ends the connection.
    pub(crate) const fn connection(code: ErrorCode, rule: &'static str) -> Self {
        Self {
            scope: Scope::Connection,
            code,
            rule,
        }
    }

    /// A mistake that ends one stream.
    pub(crate) const fn stream(code: ErrorCode, rule: &'static str) -> Self {
        Self {
            scope: Scope::Stream,
            code,
            rule,
        }
    }
}

/// A header field, in either direction. The name is lowercase; the value is bytes as on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Lowercase name; a pseudo-header begins with a colon.
    pub(crate) name: Vec<u8>,
    /// Value without surrounding white space.
    pub(crate) value: Vec<u8>,
}

impl Field {
    /// A field from text or bytes.
    pub(crate) fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }

    /// Its share of the field section's size: RFC 9114, section 4.2.2.
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.value.len() + 32
    }
}
