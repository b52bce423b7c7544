//! A request as a server reads it: one for a session, or a plain one. RFC 9114, sections 4.1.2, 4.2 and 4.3.1, and
//! RFC 9220.

use super::Field;
use super::connect::{
    AVAILABLE_PROTOCOLS, ConnectRequest, Message, MessageError, PROTOCOL, PSEUDO_HEADERS, malformed, text,
};
use super::structured_field;
use crate::http_token::is_token;

/// A request as a server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// One for a session.
    WebTransport(ConnectRequest),
    /// One of plain HTTP.
    Plain(PlainRequest),
    /// A sound one that we don't serve, with the status that says so.
    Unserved { status: u16 },
}

/// A request of plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainRequest {
    /// A token, in the client's case.
    pub(crate) method: String,
    /// Host and port, without a user.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
    /// All fields in their order, without `host`.
    pub(crate) headers: Vec<Field>,
    /// How many bytes the content has, where the request says so.
    pub(crate) content_length: Option<u64>,
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
            let (Some(scheme), Some(path)) = (scheme, path) else {
                return Err(malformed("a request has a :scheme and a :path"));
            };
            return plain(method, scheme, authority, path, &message.fields);
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

/// RFC 9114, section 4.3.1.
fn plain(
    method: &[u8],
    scheme: &[u8],
    authority: Option<&[u8]>,
    path: &[u8],
    fields: &[Field],
) -> Result<Request, MessageError> {
    let Some(method) = text(method).filter(|method| is_token(method)) else {
        return Err(malformed("a :method is a token"));
    };
    if scheme != b"https" {
        // What is asked for is another server's: https is all that comes this way.
        return Ok(Request::Unserved { status: 421 });
    }
    let mut hosts = fields.iter().filter(|field| field.name == b"host");
    let host = hosts.next().map(|field| &field.value[..]);
    if hosts.next().is_some() {
        return Err(malformed("host came twice"));
    }
    let authority = match (authority, host) {
        (Some(authority), Some(host)) if authority != host => return Err(malformed("host is not the :authority")),
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(malformed("a request for https: has an :authority or a host")),
    };
    if authority.is_empty() || authority.contains(&b'@') {
        return Err(malformed("an :authority is a host and a port"));
    }
    if path.is_empty() {
        return Err(malformed("a :path is not empty"));
    }
    let content_length = content_length(fields)?;
    let (Some(authority), Some(path)) = (text(authority), text(path)) else {
        return Ok(Request::Unserved { status: 400 });
    };
    if !path.starts_with('/') {
        // `OPTIONS *` asks about the whole server, and nobody here answers for that.
        let status = if path == "*" && method == "OPTIONS" { 501 } else { 400 };
        return Ok(Request::Unserved { status });
    }
    Ok(Request::Plain(PlainRequest {
        method,
        authority,
        path,
        headers: fields.iter().filter(|field| field.name != b"host").cloned().collect(),
        content_length,
    }))
}

/// Checks the fields behind a request's content, which have no use here: RFC 9114, section 4.3.
pub(crate) fn check_trailers(section: &[u8]) -> Result<(), MessageError> {
    let message = Message::decode(section)?;
    if PSEUDO_HEADERS.iter().any(|name| message.pseudo(name).is_some()) {
        return Err(malformed("trailers have no pseudo-headers"));
    }
    Ok(())
}

/// RFC 9110, section 8.6: a number, or the same number several times.
fn content_length(fields: &[Field]) -> Result<Option<u64>, MessageError> {
    const WRONG: MessageError = malformed("content-length is one number");
    let mut length = None;
    for field in fields.iter().filter(|field| field.name == b"content-length") {
        for member in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            // `parse` would take a sign.
            let digits = str::from_utf8(member)
                .ok()
                .filter(|_| member.iter().all(u8::is_ascii_digit));
            let number = digits.and_then(|digits| digits.parse::<u64>().ok()).ok_or(WRONG)?;
            if length.replace(number).is_some_and(|before| before != number) {
                return Err(WRONG);
            }
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::super::connect::tests::section;
    use super::super::error_code::ErrorCode;
    use super::*;

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
    fn too_many_fields() {
        let many = SOUND
            .into_iter()
            .chain(std::iter::repeat_n(("x", "1"), 10_000))
            .collect::<Vec<_>>();
        assert_eq!(Request::decode(&section(&many)), Err(MessageError::TooLarge));
    }

    const PLAIN: [(&str, &str); 4] = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", "/x?y"),
    ];

    fn plain_without(name: &str, extra: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let kept = PLAIN.into_iter().filter(|(other, _)| *other != name);
        kept.chain(extra.iter().copied()).collect()
    }

    #[test]
    fn a_plain_request() {
        for (fields, headers, content_length) in [
            (plain_without("", &[]), vec![], None),
            (
                plain_without("", &[("host", "a.example"), ("x", "1")]),
                vec![Field::new("x", "1")],
                None,
            ),
            (plain_without(":authority", &[("host", "a.example")]), vec![], None),
            (
                plain_without("", &[("content-length", "12"), ("content-length", "12, 12")]),
                vec![
                    Field::new("content-length", "12"),
                    Field::new("content-length", "12, 12"),
                ],
                Some(12),
            ),
        ] {
            let request = PlainRequest {
                method: "POST".into(),
                authority: "a.example".into(),
                path: "/x?y".into(),
                headers,
                content_length,
            };
            assert_eq!(
                Request::decode(&section(&fields)),
                Ok(Request::Plain(request)),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn plain_requests_that_break_a_rule() {
        for fields in [
            plain_without(":authority", &[]),
            plain_without(":authority", &[("host", "")]),
            plain_without("", &[("host", "b.example")]),
            plain_without(":authority", &[("host", "a"), ("host", "a")]),
            plain_without(":scheme", &[]),
            plain_without(":path", &[]),
            vec![
                (":method", "G T"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", "/"),
            ],
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "u@a"),
                (":path", "/"),
            ],
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":path", ""),
            ],
            plain_without("", &[("content-length", "+1")]),
            plain_without("", &[("content-length", "")]),
            plain_without("", &[("content-length", "1"), ("content-length", "2")]),
            plain_without("", &[("content-length", "99999999999999999999")]),
        ] {
            let Err(MessageError::Malformed(violation)) = Request::decode(&section(&fields)) else {
                panic!("taken: {fields:?}")
            };
            assert_eq!(violation.code, ErrorCode::H3_MESSAGE_ERROR, "{fields:?}");
        }
    }

    #[test]
    fn plain_requests_that_we_do_not_serve() {
        for (method, scheme, path, status) in [
            ("GET", "http", "/", 421),
            ("OPTIONS", "https", "*", 501),
            ("GET", "https", "*", 400),
            ("GET", "https", "x", 400),
            ("GET", "https", "/ /", 400),
        ] {
            let fields = [
                (":method", method),
                (":scheme", scheme),
                (":authority", "a"),
                (":path", path),
            ];
            assert_eq!(
                Request::decode(&section(&fields)),
                Ok(Request::Unserved { status }),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn trailers_have_no_pseudo_headers() {
        assert_eq!(check_trailers(&section(&[("x", "1")])), Ok(()));
        assert!(check_trailers(&section(&[(":path", "/")])).is_err());
        assert!(check_trailers(&section(&[("X", "1")])).is_err());
    }
}
