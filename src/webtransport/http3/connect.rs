//! The extended CONNECT that opens a session, and its answer: <https://www.rfc-editor.org/rfc/rfc9220>,
//! RFC 9114, sections 4.2 to 4.4, and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-3.2>.

use super::error_code::ErrorCode;
use super::qpack::{self, DecodeError};
use super::structured_field;
use super::{Field, Violation};

/// The `:protocol` of every draft up to 14.
const PROTOCOL: &[u8] = b"webtransport";

/// What Chromium and aioquic, which speak draft 02, look for.
const DRAFT_02_REQUEST: (&str, &str) = ("sec-webtransport-http3-draft02", "1");
const DRAFT_02_RESPONSE: (&str, &str) = ("sec-webtransport-http3-draft", "draft02");

const AVAILABLE_PROTOCOLS: &str = "wt-available-protocols";
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

/// A request as a server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// One for a session.
    WebTransport(ConnectRequest),
    /// A sound one that we don't serve, with the status that says so.
    Unserved { status: u16 },
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

const fn malformed(rule: &'static str) -> MessageError {
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

impl Request {
    /// Reads a request from a compressed field section.
    pub(crate) fn decode(section: &[u8]) -> Result<Self, MessageError> {
        let [method, scheme, authority, path, protocol, status] = PSEUDO_HEADERS;
        let mut message = Message::decode(section)?;
        if message.pseudo(status).is_some() {
            return Err(malformed("a request has no :status"));
        }
        let method = message.pseudo(method).ok_or(malformed("a request has a :method"))?;
        let (scheme, authority) = (message.pseudo(scheme), message.pseudo(authority));
        let (path, protocol) = (message.pseudo(path), message.pseudo(protocol));
        if method != b"CONNECT" {
            if protocol.is_some() {
                return Err(malformed(":protocol is CONNECT's"));
            }
            if scheme.is_none() || path.is_none() {
                return Err(malformed("a request has a :scheme and a :path"));
            }
            return Ok(Self::Unserved { status: 404 });
        }
        let Some(protocol) = protocol else {
            if scheme.is_some() || path.is_some() || authority.is_none() {
                return Err(malformed("a plain CONNECT has an :authority only"));
            }
            return Ok(Self::Unserved { status: 501 });
        };
        let (Some(scheme), Some(authority), Some(path)) = (scheme, authority, path) else {
            return Err(malformed("an extended CONNECT has :scheme, :authority and :path"));
        };
        if protocol != PROTOCOL {
            return Ok(Self::Unserved { status: 501 });
        }
        let (authority, path) = (text(authority), text(path));
        let (Some(authority), Some(path)) = (authority, path) else {
            return Ok(Self::Unserved { status: 400 });
        };
        if scheme != b"https" || authority.is_empty() || !path.starts_with('/') {
            return Ok(Self::Unserved { status: 400 });
        }
        let protocols = message.take_joined(AVAILABLE_PROTOCOLS);
        // An unreadable list counts as none.
        let protocols = protocols
            .and_then(|list| structured_field::parse_list(&list))
            .unwrap_or_default();
        Ok(Self::WebTransport(ConnectRequest {
            authority,
            path,
            protocols,
            headers: message.fields,
        }))
    }
}

impl ConnectResponse {
    /// The answer as a compressed field section.
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
        fields.extend_from_slice(&self.headers);
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

const PSEUDO_HEADERS: [&str; 6] = [":method", ":scheme", ":authority", ":path", ":protocol", ":status"];

/// A field section with its pseudo-headers apart, checked as RFC 9114, sections 4.2 and 4.3 say.
struct Message {
    pseudo: [Option<Vec<u8>>; PSEUDO_HEADERS.len()],
    fields: Vec<Field>,
}

impl Message {
    fn decode(section: &[u8]) -> Result<Self, MessageError> {
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

    fn pseudo(&self, name: &str) -> Option<&[u8]> {
        let index = PSEUDO_HEADERS.iter().position(|known| *known == name)?;
        self.pseudo[index].as_deref()
    }

    /// Removes all fields of that name and joins their values, as a list allows.
    fn take_joined(&mut self, name: &str) -> Option<Vec<u8>> {
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
    let is_name_character =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte);
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
fn text(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .all(u8::is_ascii_graphic)
        .then(|| bytes.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(fields: &[(&str, &str)]) -> Vec<u8> {
        qpack::encode(
            &fields
                .iter()
                .map(|(name, value)| Field::new(*name, *value))
                .collect::<Vec<_>>(),
        )
    }

    const SOUND: [(&str, &str); 5] = [
        (":method", "CONNECT"),
        (":scheme", "https"),
        (":authority", "example.com:4433"),
        (":path", "/chat?x=1"),
        (":protocol", "webtransport"),
    ];

    fn without(name: &str) -> Vec<(&'static str, &'static str)> {
        SOUND.into_iter().filter(|(other, _)| *other != name).collect()
    }

    fn with(extra: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        SOUND.into_iter().chain(extra.iter().copied()).collect()
    }

    #[test]
    fn a_request_survives_the_wire() {
        let request = ConnectRequest {
            authority: "example.com:4433".into(),
            path: "/chat?x=1".into(),
            protocols: vec!["a".into(), "b \"c\"".into()],
            headers: vec![Field::new("origin", "https://example.com"), Field::new("x-token", "1")],
        };
        let Ok(Request::WebTransport(decoded)) = Request::decode(&request.encode()) else {
            panic!("not a request")
        };
        assert_eq!(decoded.header("origin"), Some(&b"https://example.com"[..]));
        assert_eq!(decoded.header("sec-webtransport-http3-draft02"), Some(&b"1"[..]));
        assert_eq!((decoded.authority, decoded.path), (request.authority, request.path));
        assert_eq!(decoded.protocols, request.protocols);
        assert_eq!(decoded.headers[1..], request.headers);
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
    fn requests_that_break_a_rule() {
        for fields in [
            vec![],
            without(":method"),
            without(":scheme"),
            without(":authority"),
            without(":path"),
            without(":protocol"),
            with(&[(":path", "/twice")]),
            with(&[(":status", "200")]),
            with(&[(":unknown", "1")]),
            with(&[("x", "1"), (":late", "1")]),
            with(&[("Upper", "1")]),
            with(&[("sp ace", "1")]),
            with(&[("", "1")]),
            with(&[("x", "a\r\nb")]),
            with(&[("x", "a\0b")]),
            with(&[("connection", "close")]),
            with(&[("transfer-encoding", "chunked")]),
            with(&[("te", "gzip")]),
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/"),
                (":protocol", "webtransport"),
            ],
            vec![(":method", "GET"), (":path", "/")],
        ] {
            let Err(MessageError::Malformed(violation)) = Request::decode(&section(&fields)) else {
                panic!("taken: {fields:?}")
            };
            assert_eq!(violation.code, ErrorCode::H3_MESSAGE_ERROR, "{fields:?}");
        }
    }

    #[test]
    fn sound_requests_that_we_do_not_serve() {
        for (fields, status) in [
            (
                vec![
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":authority", "a"),
                    (":path", "/"),
                ],
                404,
            ),
            (vec![(":method", "CONNECT"), (":authority", "a:1")], 501),
            ([&without(":protocol")[..], &[(":protocol", "websocket")]].concat(), 501),
            ([&without(":scheme")[..], &[(":scheme", "http")]].concat(), 400),
            ([&without(":path")[..], &[(":path", "relative")]].concat(), 400),
            ([&without(":authority")[..], &[(":authority", "")]].concat(), 400),
            ([&without(":authority")[..], &[(":authority", "a b")]].concat(), 400),
        ] {
            assert_eq!(
                Request::decode(&section(&fields)),
                Ok(Request::Unserved { status }),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn an_unreadable_list_of_protocols_is_none() {
        for (list, protocols) in [("a, b", vec![]), ("\"a\", b", vec![]), ("\"a\"", vec!["a".to_owned()])] {
            let Ok(Request::WebTransport(request)) = Request::decode(&section(&with(&[(AVAILABLE_PROTOCOLS, list)])))
            else {
                panic!("not a request")
            };
            assert_eq!(request.protocols, protocols);
            assert_eq!(request.headers, []);
        }
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

    #[test]
    fn too_many_fields() {
        let many = SOUND
            .into_iter()
            .chain(std::iter::repeat_n(("x", "1"), 10_000))
            .collect::<Vec<_>>();
        assert_eq!(Request::decode(&section(&many)), Err(MessageError::TooLarge));
    }
}
