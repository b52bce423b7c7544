//! The extended CONNECT that opens a session, and its answer: <https://www.rfc-editor.org/rfc/rfc9220>,
//! RFC 9114, sections 4.2 to 4.4, and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-3.2>.

use super::error_code::ErrorCode;
use super::qpack::{self, DecodeError};
use super::structured_field;
use super::{Field, Violation};
use crate::http_token::is_token_byte;

/// The `:protocol` of every draft up to 14.
pub(super) const PROTOCOL: &[u8] = b"webtransport";

/// What Chromium and aioquic, which speak draft 02, look for.
const DRAFT_02_REQUEST: (&str, &str) = ("sec-webtransport-http3-draft02", "1");
const DRAFT_02_RESPONSE: (&str, &str) = ("sec-webtransport-http3-draft", "draft02");

pub(super) const AVAILABLE_PROTOCOLS: &str = "wt-available-protocols";
const CHOSEN_PROTOCOL: &str = "wt-protocol";

/// A request for a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectRequest {
    /// Host and port.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
    /// The application protocols on offer, the best first.
    pub(crate) protocols: Vec<String>,
    /// All other fields, `origin` among them, in their order.
    pub(crate) headers: Vec<Field>,
}

/// An answer to a request for a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectResponse {
    /// 1xx is an interim answer, 2xx a session.
    pub(crate) status: u16,
    /// The application protocol that the server chose.
    pub(crate) protocol: Option<String>,
    /// All other fields, in their order.
    pub(crate) headers: Vec<Field>,
}

/// Why a message can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// It breaks a rule.
    Malformed(Violation),
    /// Its fields are more than we take; a server answers 431.
    TooLarge,
}

impl From<DecodeError> for MessageError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed(violation) => Self::Malformed(violation),
            DecodeError::TooLarge => Self::TooLarge,
        }
    }
}

pub(super) const fn malformed(rule: &'static str) -> MessageError {
    MessageError::Malformed(Violation::stream(ErrorCode::H3_MESSAGE_ERROR, rule))
}

impl ConnectRequest {
    /// The request as a compressed field section.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut fields = vec![
            Field::new(":method", "CONNECT"),
            Field::new(":scheme", "https"),
            Field::new(":authority", self.authority.as_str()),
            Field::new(":path", self.path.as_str()),
            Field::new(":protocol", PROTOCOL),
            Field::new(DRAFT_02_REQUEST.0, DRAFT_02_REQUEST.1),
        ];
        if !self.protocols.is_empty() {
            fields.push(Field::new(
                AVAILABLE_PROTOCOLS,
                structured_field::serialize_list(&self.protocols),
            ));
        }
        fields.extend_from_slice(&self.headers);
        qpack::encode(&fields)
    }

    /// The value of the first field of that name.
    #[cfg(test)]
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|field| field.name == name.as_bytes())
            .map(|field| &field.value[..])
    }
}

impl ConnectResponse {
    /// The answer to a request for a session as a compressed field section. Its content is what we send, and none of 2xx has any
    /// (RFC 9110, section 9.3.6): a length that came from elsewhere is left out, as fields of HTTP/1.1's connections are.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut fields = vec![Field::new(":status", self.status.to_string())];
        if (200..300).contains(&self.status) {
            fields.push(Field::new(DRAFT_02_RESPONSE.0, DRAFT_02_RESPONSE.1));
        }
        if let Some(protocol) = &self.protocol {
            fields.push(Field::new(
                CHOSEN_PROTOCOL,
                structured_field::serialize_string(protocol),
            ));
        }
        let is_sent = |field: &&Field| check_name(field).is_ok() && field.name != b"content-length";
        fields.extend(self.headers.iter().filter(is_sent).cloned());
        qpack::encode(&fields)
    }

    /// The answer to a request that is none for a session. Fields of HTTP/1.1's connections are left out: an answer that
    /// came from elsewhere may have them.
    pub(crate) fn encode_plain(&self) -> Vec<u8> {
        let mut fields = vec![Field::new(":status", self.status.to_string())];
        fields.extend(self.headers.iter().filter(|field| check_name(field).is_ok()).cloned());
        qpack::encode(&fields)
    }

    /// Reads an answer from a compressed field section.
    pub(crate) fn decode(section: &[u8]) -> Result<Self, MessageError> {
        let [requests @ .., status] = PSEUDO_HEADERS;
        let mut message = Message::decode(section)?;
        if requests.iter().any(|name| message.pseudo(name).is_some()) {
            return Err(malformed("an answer has :status only"));
        }
        let status = match message.pseudo(status) {
            Some([a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => [a, b, c]
                .iter()
                .fold(0, |number, digit| number * 10 + u16::from(**digit - b'0')),
            _ => return Err(malformed("an answer has a :status of three digits")),
        };
        let protocol = message.take_joined(CHOSEN_PROTOCOL);
        let protocol = protocol.and_then(|item| structured_field::parse_string(&item));
        Ok(Self {
            status,
            protocol,
            headers: message.fields,
        })
    }
}

pub(super) const PSEUDO_HEADERS: [&str; 6] = [":method", ":scheme", ":authority", ":path", ":protocol", ":status"];

/// A field section with its pseudo-headers apart, checked as RFC 9114, sections 4.2 and 4.3 say.
pub(super) struct Message {
    pseudo: [Option<Vec<u8>>; PSEUDO_HEADERS.len()],
    pub(super) fields: Vec<Field>,
}

impl Message {
    pub(super) fn decode(section: &[u8]) -> Result<Self, MessageError> {
        let mut message = Self {
            pseudo: Default::default(),
            fields: Vec::new(),
        };
        for mut field in qpack::decode(section)? {
            field.value = field.value.trim_ascii().to_vec();
            if field.value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
                return Err(malformed("a field's value holds a control character"));
            }
            if field.name.first() != Some(&b':') {
                check_name(&field)?;
                message.fields.push(field);
                continue;
            }
            if !message.fields.is_empty() {
                return Err(malformed("pseudo-headers come first"));
            }
            let index = PSEUDO_HEADERS.iter().position(|name| name.as_bytes() == field.name);
            let slot = &mut message.pseudo[index.ok_or(malformed("an unknown pseudo-header"))?];
            if slot.replace(field.value).is_some() {
                return Err(malformed("a pseudo-header came twice"));
            }
        }
        Ok(message)
    }

    pub(super) fn pseudo(&self, name: &str) -> Option<&[u8]> {
        let index = PSEUDO_HEADERS.iter().position(|known| *known == name)?;
        self.pseudo[index].as_deref()
    }

    /// Removes all fields of that name and joins their values, as a list allows.
    pub(super) fn take_joined(&mut self, name: &str) -> Option<Vec<u8>> {
        let mut joined: Option<Vec<u8>> = None;
        self.fields.retain(|field| {
            if field.name != name.as_bytes() {
                return true;
            }
            match &mut joined {
                None => joined = Some(field.value.clone()),
                Some(joined) => {
                    joined.extend_from_slice(b", ");
                    joined.extend_from_slice(&field.value);
                }
            }
            false
        });
        joined
    }
}

fn check_name(field: &Field) -> Result<(), MessageError> {
    let is_name_character = |&byte: &u8| is_token_byte(byte) && !byte.is_ascii_uppercase();
    if field.name.is_empty() || !field.name.iter().all(is_name_character) {
        return Err(malformed("a field's name is a lowercase token"));
    }
    match &field.name[..] {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"upgrade" | b"transfer-encoding" => {
            Err(malformed("a field of HTTP/1.1's connections"))
        }
        b"te" if field.value != b"trailers" => Err(malformed("te is trailers")),
        _ => Ok(()),
    }
}

/// Visible ASCII, as in an authority or a path.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .all(u8::is_ascii_graphic)
        .then(|| bytes.iter().copied().map(char::from).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A field section as a peer sends it.
    pub(in super::super) fn section(fields: &[(&str, &str)]) -> Vec<u8> {
        qpack::encode(
            &fields
                .iter()
                .map(|(name, value)| Field::new(*name, *value))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let answer = ConnectResponse {
            status: 200,
            protocol: Some("a".into()),
            headers: vec![Field::new("x-server", "webwire")],
        };
        let decoded = ConnectResponse::decode(&answer.encode()).expect("valid");
        assert_eq!((decoded.status, decoded.protocol), (200, answer.protocol));
        assert_eq!(decoded.headers[1..], answer.headers);
        let refusal = ConnectResponse {
            status: 404,
            ..Default::default()
        };
        assert_eq!(ConnectResponse::decode(&refusal.encode()), Ok(refusal));
    }

    #[test]
    fn an_answer_has_no_field_of_a_connection_and_no_length_that_is_not_its_own() {
        let names = ["connection", "transfer-encoding", "content-length", "x"];
        for status in [200, 404] {
            let answer = ConnectResponse {
                status,
                protocol: None,
                headers: names.map(|name| Field::new(name, "1")).to_vec(),
            };
            let decoded = ConnectResponse::decode(&answer.encode()).expect("valid");
            assert_eq!(decoded.headers.last(), Some(&Field::new("x", "1")));
            assert!(
                decoded
                    .headers
                    .iter()
                    .all(|field| !names[..3].iter().any(|name| name.as_bytes() == field.name))
            );
        }
    }

    #[test]
    fn a_plain_answer_has_no_field_of_a_connection() {
        let answer = ConnectResponse {
            status: 200,
            protocol: None,
            headers: vec![
                Field::new("connection", "close"),
                Field::new("x", "1"),
                Field::new("transfer-encoding", "chunked"),
                Field::new("set-cookie", "a"),
                Field::new("set-cookie", "b"),
            ],
        };
        let fields = qpack::decode(&answer.encode_plain()).expect("valid");
        let sent: Vec<_> = fields.iter().map(|field| (&field.name[..], &field.value[..])).collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b":status", b"200"),
            (b"x", b"1"),
            (b"set-cookie", b"a"),
            (b"set-cookie", b"b"),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn answers_that_break_a_rule() {
        for fields in [
            &[][..],
            &[("x", "1")],
            &[(":status", "20")],
            &[(":status", "2000")],
            &[(":status", "+20")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), (":path", "/")],
        ] {
            assert!(
                matches!(
                    ConnectResponse::decode(&section(fields)),
                    Err(MessageError::Malformed(_))
                ),
                "{fields:?}"
            );
        }
    }
}
