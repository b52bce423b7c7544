//! The opening handshake: [RFC 6455 section 4](https://www.rfc-editor.org/rfc/rfc6455#section-4), both ends, and
//! [HTTP/1.1](https://www.rfc-editor.org/rfc/rfc9112) as far as it needs it.

use std::fmt::Write as _;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::extensions::{self, Parameters};
use super::head::HeadSearch;
use crate::http_token::is_token;

/// Bytes that a request or a response may have, up to its empty line.
pub(crate) const MAX_HEAD: usize = 65_536;
/// Header lines that it may have.
const MAX_HEADERS: usize = 100;

/// A header line, name as it came.
pub(crate) type Header = (String, String);

/// What the client asks for. All parts are valid for a header: no control characters.
#[derive(Debug, Clone)]
pub(crate) struct ClientRequest {
    /// Path and query.
    pub(crate) target: String,
    /// Host, with the port unless it is the scheme's.
    pub(crate) host: String,
    /// Of `generate_key`.
    pub(crate) key: String,
    /// Subprotocols, the preferred one first.
    pub(crate) protocols: Vec<String>,
    /// What is wanted of permessage-deflate, if it is offered.
    pub(crate) deflate: Option<Parameters>,
    /// The caller's own; a `Host` among them replaces ours.
    pub(crate) headers: Vec<Header>,
}

impl ClientRequest {
    /// The bytes of the request.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("GET {} HTTP/1.1\r\n", self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            put(&mut head, "Host", &self.host);
        }
        put(&mut head, "Connection", "Upgrade");
        put(&mut head, "Upgrade", "websocket");
        put(&mut head, "Sec-WebSocket-Version", "13");
        put(&mut head, "Sec-WebSocket-Key", &self.key);
        if !self.protocols.is_empty() {
            put(&mut head, "Sec-WebSocket-Protocol", &self.protocols.join(", "));
        }
        if let Some(deflate) = &self.deflate {
            put(&mut head, "Sec-WebSocket-Extensions", &extensions::offer(deflate));
        }
        for (name, value) in &self.headers {
            put(&mut head, name, value);
        }
        head.push_str("\r\n");
        to_latin1(&head)
    }

    /// Whether `response` opens the connection (section 4.1), and what was agreed; or what is wrong.
    pub(crate) fn check(&self, response: &Response) -> Result<Established, ResponseFault> {
        // 1.
        if response.status != 101 {
            return Err(ResponseFault::Status(response.status));
        }
        // 2.
        match one(&response.headers, "upgrade") {
            Some(value) if value.eq_ignore_ascii_case("websocket") => {}
            Some(_) | None => return Err(ResponseFault::Upgrade),
        }
        // 3.
        if !has_token(&response.headers, "connection", "upgrade") {
            return Err(ResponseFault::Connection);
        }
        // 4.
        if one(&response.headers, "sec-websocket-accept") != Some(derive_accept_key(self.key.as_bytes()).as_str()) {
            return Err(ResponseFault::Accept);
        }
        // 5.
        let extensions = list(&response.headers, "sec-websocket-extensions");
        let deflate =
            extensions::read_response(&extensions, self.deflate.as_ref()).map_err(ResponseFault::Extension)?;
        // 6.
        let mut protocols = values(&response.headers, "sec-websocket-protocol");
        let protocol = match (protocols.next(), protocols.next()) {
            // WHATWG adds: one that was asked for has to be acknowledged.
            (None, _) if self.protocols.is_empty() => String::new(),
            (Some(protocol), None) if self.protocols.iter().any(|asked| asked == protocol) => protocol.to_owned(),
            (Some(_) | None, _) => return Err(ResponseFault::Protocol),
        };
        Ok(Established {
            protocol,
            extensions,
            deflate,
        })
    }
}

/// What both ends have agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Established {
    /// The subprotocol, or ''.
    pub(crate) protocol: String,
    /// "Extensions in use": the server's header as it is, or ''.
    pub(crate) extensions: String,
    /// permessage-deflate, if it is among them.
    pub(crate) deflate: Option<Parameters>,
}

/// What is wrong with a server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFault {
    /// Not HTTP/1.1, or over a limit.
    Malformed,
    /// Anything but 101; redirects are not followed.
    Status(u16),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` lacks the token `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, wrong or there twice.
    Accept,
    /// An extension that was not asked for, or not like this.
    Extension(extensions::ResponseFault),
    /// A subprotocol that was not asked for, two, or none of those that were.
    Protocol,
}

/// Head of a server's answer.
#[derive(Debug)]
pub(crate) struct Response {
    /// Three digits.
    pub(crate) status: u16,
    /// In their order.
    pub(crate) headers: Vec<Header>,
}

/// Reads a response that comes in pieces, in time that grows with its bytes and not with their pieces.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    /// Behind the interim responses that have been passed over.
    head: HeadSearch,
}

impl ResponseReader {
    /// Parses the response in `input`, which is all that has come, skipping interim ones, and says where it ends. `None`: more
    /// is needed.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<Option<(Response, usize)>, ResponseFault> {
        loop {
            let start = self.head.start();
            // Another protocol is known by its first bytes; its other end may wait for ours.
            let rest = &input[start..];
            if !rest.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected) {
                return Err(ResponseFault::Malformed);
            }
            let Some(end) = self.head.end(up_to_limit(input)) else {
                return if input.len() > MAX_HEAD {
                    Err(ResponseFault::Malformed)
                } else {
                    Ok(None)
                };
            };
            let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut parsed = httparse::Response::new(&mut lines);
            match parsed.parse(&input[start..end]) {
                Ok(httparse::Status::Complete(length)) if start + length == end && parsed.version == Some(1) => {}
                Ok(_) | Err(_) => return Err(ResponseFault::Malformed),
            }
            let status = parsed.code.ok_or(ResponseFault::Malformed)?;
            // 100, 102 and 103 come before the answer.
            if (100..200).contains(&status) && status != 101 {
                self.head = HeadSearch::from(end);
                continue;
            }
            let headers = own(parsed.headers);
            return Ok(Some((Response { status, headers }, end)));
        }
    }
}

/// A valid request for a WebSocket connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerRequest {
    /// The request target as it came.
    pub(crate) target: String,
    /// In their order.
    pub(crate) headers: Vec<Header>,
    /// Subprotocols that the client asks for, in its order.
    pub(crate) protocols: Vec<String>,
    key: String,
}

/// Why a request is refused: the status of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400.
    BadRequest,
    /// 426 with the version that we speak.
    UpgradeRequired,
    /// 431.
    HeadersTooLarge,
}

impl Refusal {
    /// The bytes of the answer.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::BadRequest => reject(400, &[], b""),
            Self::UpgradeRequired => {
                let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                reject(
                    426,
                    &[line("Upgrade", "websocket"), line("Sec-WebSocket-Version", "13")],
                    b"",
                )
            }
            Self::HeadersTooLarge => reject(431, &[], b""),
        }
    }
}

/// Reads a request that comes in pieces, in time that grows with its bytes and not with their pieces.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    head: HeadSearch,
}

impl RequestReader {
    /// Parses the request in `input`, which is all that has come, and says where it ends (section 4.2.1). `None`: more is
    /// needed.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<Option<(ServerRequest, usize)>, Refusal> {
        // Another protocol (TLS) is known by its first byte; its other end may wait for ours.
        if input
            .first()
            .is_some_and(|byte| !byte.is_ascii_uppercase() && !b"\r\n".contains(byte))
        {
            return Err(Refusal::BadRequest);
        }
        let Some(end) = self.head.end(up_to_limit(input)) else {
            return if input.len() > MAX_HEAD {
                Err(Refusal::HeadersTooLarge)
            } else {
                Ok(None)
            };
        };
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut lines);
        match parsed.parse(&input[..end]) {
            Ok(httparse::Status::Complete(length)) if length == end => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadersTooLarge),
            Ok(_) | Err(_) => return Err(Refusal::BadRequest),
        }
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Refusal::BadRequest);
        };
        let version = if version == 1 { "1.1" } else { "1.0" };
        let request = ServerRequest::check(method, target, version, own(parsed.headers))?;
        Ok(Some((request, end)))
    }
}

impl ServerRequest {
    /// Whether a request asks for a WebSocket connection (section 4.2.1), whoever has parsed it.
    pub(crate) fn check(method: &str, target: &str, version: &str, headers: Vec<Header>) -> Result<Self, Refusal> {
        // 1.
        if method != "GET" || version != "1.1" {
            return Err(Refusal::BadRequest);
        }
        // 2.
        if one(&headers, "host").is_none() {
            return Err(Refusal::BadRequest);
        }
        // 3. 4.
        if !has_token(&headers, "upgrade", "websocket") || !has_token(&headers, "connection", "upgrade") {
            return Err(Refusal::UpgradeRequired);
        }
        // 6. Before the key: what another version's key looks like is not known.
        if one(&headers, "sec-websocket-version") != Some("13") {
            return Err(Refusal::UpgradeRequired);
        }
        // 5.
        let key = one(&headers, "sec-websocket-key")
            .filter(|key| is_key(key))
            .ok_or(Refusal::BadRequest)?
            .to_owned();
        // 8.
        let mut protocols: Vec<String> = Vec::new();
        for value in values(&headers, "sec-websocket-protocol") {
            for protocol in value.split(',').map(trim) {
                // A hundred are more than anybody asks for, and keep the search for a double short.
                if !is_token(protocol) || protocols.len() == 100 || protocols.iter().any(|known| known == protocol) {
                    return Err(Refusal::BadRequest);
                }
                protocols.push(protocol.to_owned());
            }
        }
        // 9.
        extensions::parse(&list(&headers, "sec-websocket-extensions")).map_err(|_| Refusal::BadRequest)?;
        Ok(Self {
            target: target.to_owned(),
            headers,
            protocols,
            key,
        })
    }

    /// Chooses permessage-deflate, if the client offers it in a way that goes with `wanted`: the parameters and the value
    /// of our `Sec-WebSocket-Extensions`.
    pub(crate) fn negotiate(&self, wanted: &Parameters) -> Option<(Parameters, String)> {
        let offers = list(&self.headers, "sec-websocket-extensions");
        extensions::accept(&extensions::parse(&offers).ok()?, wanted)
    }

    /// The bytes that open the connection. `protocol` is one of `protocols`; `headers` are valid.
    pub(crate) fn accept(&self, protocol: Option<&str>, headers: &[Header]) -> Vec<u8> {
        let mut head = String::from("HTTP/1.1 101 Switching Protocols\r\n");
        put(&mut head, "Upgrade", "websocket");
        put(&mut head, "Connection", "Upgrade");
        put(
            &mut head,
            "Sec-WebSocket-Accept",
            &derive_accept_key(self.key.as_bytes()),
        );
        if let Some(protocol) = protocol {
            put(&mut head, "Sec-WebSocket-Protocol", protocol);
        }
        for (name, value) in headers {
            put(&mut head, name, value);
        }
        head.push_str("\r\n");
        to_latin1(&head)
    }
}

/// The bytes of an answer that is not 101. `headers` are valid.
pub(crate) fn reject(status: u16, headers: &[Header], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status));
    put(&mut head, "Connection", "close");
    put(&mut head, "Content-Length", &body.len().to_string());
    for (name, value) in headers {
        put(&mut head, name, value);
    }
    head.push_str("\r\n");
    let mut bytes = to_latin1(&head);
    bytes.extend_from_slice(body);
    bytes
}

fn put(head: &mut String, name: &str, value: &str) {
    write!(head, "{name}: {value}\r\n").expect("writing to a String does not fail");
}

/// Header text is a byte string: one byte for each character up to U+00FF.
fn to_latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

fn from_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn own(headers: &[httparse::Header<'_>]) -> Vec<Header> {
    headers
        .iter()
        .map(|header| (header.name.to_owned(), trim(&from_latin1(header.value)).to_owned()))
        .collect()
}

/// As much of the input as a head may have.
fn up_to_limit(input: &[u8]) -> &[u8] {
    input.get(..MAX_HEAD).unwrap_or(input)
}

fn values<'a>(headers: &'a [Header], name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |header| header.0.eq_ignore_ascii_case(name))
        .map(|header| header.1.as_str())
}

/// The value of a header that is a list, all its lines together.
fn list(headers: &[Header], name: &str) -> String {
    let lines: Vec<&str> = values(headers, name).filter(|value| !value.is_empty()).collect();
    lines.join(", ")
}

/// The value of a header that must be there exactly once.
fn one<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let mut all = values(headers, name);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn has_token(headers: &[Header], name: &str, token: &str) -> bool {
    values(headers, name).any(|value| value.split(',').any(|part| trim(part).eq_ignore_ascii_case(token)))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Base64 of 16 bytes: 22 characters, the last with 4 bits unused, and `==`.
fn is_key(text: &str) -> bool {
    match text.strip_suffix("==") {
        Some(digits) if digits.len() == 22 => digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'),
        Some(_) | None => false,
    }
}

fn reason_phrase(status: u16) -> &'static str {
    tokio_tungstenite::tungstenite::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("")
}

#[cfg(test)]
mod tests;
