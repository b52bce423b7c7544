//! Tables of requests and responses.

use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Reads what came at once.
fn parse_response(input: &[u8]) -> Result<Option<(Response, usize)>, ResponseFault> {
    ResponseReader::default().read(input)
}

/// The same at the other end.
fn parse_request(input: &[u8]) -> Result<Option<(ServerRequest, usize)>, Refusal> {
    RequestReader::default().read(input)
}

fn asked(protocols: &[&str]) -> ClientRequest {
    ClientRequest {
        target: "/chat?x=1".into(),
        host: "example.com:8080".into(),
        key: KEY.into(),
        protocols: protocols.iter().map(|&protocol| protocol.into()).collect(),
        deflate: None,
        headers: vec![("Origin".into(), "http://a".into()), ("X-Name".into(), "é".into())],
    }
}

fn response(lines: &[&str]) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\n{}\r\n",
        lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()
    )
    .into_bytes()
}

fn answer(protocols: &[&str], lines: &[&str]) -> Result<String, ResponseFault> {
    let bytes = response(lines);
    let (response, end) = parse_response(&bytes)?.expect("is complete");
    assert_eq!(end, bytes.len());
    asked(protocols).check(&response).map(|established| {
        assert_eq!((established.extensions.as_str(), established.deflate), ("", None));
        established.protocol
    })
}

#[test]
fn the_request() {
    let expected = "GET /chat?x=1 HTTP/1.1\r\nHost: example.com:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: a, b\r\nOrigin: http://a\r\nX-Name: \u{e9}\r\n\r\n";
    assert_eq!(asked(&["a", "b"]).to_bytes(), to_latin1(expected));
    let mut request = asked(&[]);
    request.headers = vec![("host".into(), "other".into())];
    let text = String::from_utf8(request.to_bytes()).expect("ASCII");
    assert!(text.contains("host: other\r\n") && !text.contains("example.com"));
    assert!(!text.contains("Protocol"));
}

#[test]
fn what_the_client_takes_for_an_answer() {
    const GOOD: [&str; 3] = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    ];
    let with = |extra: &[&'static str]| [&GOOD[..], extra].concat();
    let [upgrade, connection, accept] = GOOD;
    type Case<'a> = (&'a [&'a str], Vec<&'a str>, Result<&'a str, ResponseFault>);
    let cases: &[Case<'_>] = &[
        (&[], with(&[]), Ok("")),
        (
            &[],
            vec!["upgrade:WebSocket", "CONNECTION: keep-alive, upgrade", accept],
            Ok(""),
        ),
        (&[], vec![upgrade, "Connection: keep-alive", connection, accept], Ok("")),
        (&[], vec![connection, accept], Err(ResponseFault::Upgrade)),
        (
            &[],
            vec!["Upgrade: websocket, h2c", connection, accept],
            Err(ResponseFault::Upgrade),
        ),
        (&[], vec![upgrade, accept], Err(ResponseFault::Connection)),
        (
            &[],
            vec![upgrade, "Connection: close", accept],
            Err(ResponseFault::Connection),
        ),
        (&[], vec![upgrade, connection], Err(ResponseFault::Accept)),
        (
            &[],
            vec![upgrade, connection, "Sec-WebSocket-Accept: x"],
            Err(ResponseFault::Accept),
        ),
        (&[], with(&[accept]), Err(ResponseFault::Accept)),
        (
            &[],
            with(&["Sec-WebSocket-Extensions: permessage-deflate"]),
            Err(ResponseFault::Extension(extensions::ResponseFault::NotOffered)),
        ),
        (&[], with(&["Sec-WebSocket-Protocol: a"]), Err(ResponseFault::Protocol)),
        (&["a", "b"], with(&["Sec-WebSocket-Protocol: b"]), Ok("b")),
        (
            &["a", "b"],
            with(&["Sec-WebSocket-Protocol: B"]),
            Err(ResponseFault::Protocol),
        ),
        (
            &["a", "b"],
            with(&["Sec-WebSocket-Protocol: a, b"]),
            Err(ResponseFault::Protocol),
        ),
        (
            &["a"],
            with(&["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"]),
            Err(ResponseFault::Protocol),
        ),
        (&["a"], with(&[]), Err(ResponseFault::Protocol)),
        (&[], with(&[]), Ok("")),
        (
            &[],
            vec![
                upgrade,
                connection,
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9k",
                " YGzzhZRbK+xOo=",
            ],
            Err(ResponseFault::Malformed),
        ),
        (&[], with(&["Bad\x01Name: x"]), Err(ResponseFault::Malformed)),
        (&[], with(&["Name : x"]), Err(ResponseFault::Malformed)),
    ];
    for (protocols, lines, expected) in cases {
        assert_eq!(answer(protocols, lines), expected.map(str::to_owned), "{lines:?}");
    }
}

#[test]
fn answers_that_are_not_101() {
    for status in [200, 204, 301, 302, 307, 308, 401, 404, 407, 426, 500, 503] {
        let bytes = format!("HTTP/1.1 {status} Text\r\nLocation: http://b\r\n\r\n").into_bytes();
        let (response, _) = parse_response(&bytes).expect("is well formed").expect("is complete");
        assert_eq!(asked(&[]).check(&response), Err(ResponseFault::Status(status)));
    }
    for bytes in [
        "HTTP/1.0 101 Old\r\n\r\n",
        "HTTP/2 101\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
    ] {
        assert!(
            matches!(parse_response(bytes.as_bytes()), Err(ResponseFault::Malformed)),
            "{bytes:?}"
        );
    }
}

#[test]
fn interim_answers_are_skipped_and_frames_are_left() {
    let mut bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec();
    bytes.extend(response(&["A: b"]));
    let head = bytes.len();
    bytes.extend(b"\x81\x01x");
    for cut in 0..head {
        assert!(matches!(parse_response(&bytes[..cut]), Ok(None)), "cut at {cut}");
    }
    let (response, end) = parse_response(&bytes).expect("is well formed").expect("is complete");
    assert_eq!((response.status, end), (101, head));
}

/// `bytes` up to `end`, when `known` of them have been read before: those are LFs now, the end of a head to whoever looks at
/// them again, but for the first seven from `start` on, by which a protocol is known.
fn shown(bytes: &[u8], start: usize, known: usize, end: usize) -> Vec<u8> {
    let mut shown = bytes[..end].to_vec();
    for (index, byte) in shown[..known].iter_mut().enumerate() {
        if !(start..start + 7).contains(&index) {
            *byte = b'\n';
        }
    }
    shown
}

#[test]
fn pieces_are_not_looked_at_again() {
    for size in [1, 2, 3, 50] {
        let interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec();
        let bytes = [interim.clone(), response(&["A: b"])].concat();
        let mut reader = ResponseReader::default();
        let (mut start, mut known) = (0, 0);
        while known + size < bytes.len() {
            let end = known + size;
            if end >= interim.len() && start == 0 {
                // A head is parsed as a whole.
                assert!(matches!(reader.read(&bytes[..end]), Ok(None)));
                start = interim.len();
            } else {
                assert!(matches!(reader.read(&shown(&bytes, start, known, end)), Ok(None)));
            }
            known = end;
        }
        let (_, end) = reader.read(&bytes).expect("is well formed").expect("is complete");
        assert_eq!(end, bytes.len());

        let bytes = asked(&[]).to_bytes();
        let mut reader = RequestReader::default();
        let mut known = 0;
        while known + size < bytes.len() {
            assert_eq!(reader.read(&shown(&bytes, 0, known, known + size)), Ok(None));
            known += size;
        }
        assert!(matches!(reader.read(&bytes), Ok(Some((_, end))) if end == bytes.len()));
    }
}

#[test]
fn limits_of_an_answer() {
    let many: Vec<String> = (0..101).map(|i| format!("H{i}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(
        parse_response(&response(&many)),
        Err(ResponseFault::Malformed)
    ));
    assert!(parse_response(&response(&many[1..])).is_ok());
    let long = format!("H: {}", "x".repeat(MAX_HEAD));
    assert!(matches!(
        parse_response(&response(&[&long])),
        Err(ResponseFault::Malformed)
    ));
    assert!(matches!(parse_response(b"HTTP/1.1 101 x"), Ok(None)));
    assert!(matches!(
        parse_response(&vec![b'x'; MAX_HEAD + 1]),
        Err(ResponseFault::Malformed)
    ));
    assert!(matches!(
        parse_response(&vec![b'\n'; MAX_HEAD + 1]),
        Err(ResponseFault::Malformed)
    ));
}

fn request(start: &str, lines: &[&str]) -> Result<ServerRequest, Refusal> {
    let mut bytes = format!("{start}\r\n");
    for line in lines {
        bytes.push_str(line);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\nrest");
    let (request, end) = parse_request(bytes.as_bytes())?.expect("is complete");
    assert_eq!(end, bytes.len() - 4);
    Ok(request)
}

const START: &str = "GET /chat HTTP/1.1";
const LINES: [&str; 5] = [
    "Host: example.com",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[test]
fn a_request_and_its_answer() {
    let lines = [
        &LINES[..],
        &["Sec-WebSocket-Protocol: a,b", "Sec-WebSocket-Protocol: c", "X: \u{e9}"],
    ]
    .concat();
    let request = request(START, &lines).expect("is valid");
    assert_eq!(request.target, "/chat");
    assert_eq!(request.protocols, ["a", "b", "c"]);
    assert_eq!(request.headers.len(), 8);
    assert_eq!(request.headers[0], ("Host".to_owned(), "example.com".to_owned()));
    let bytes = request.accept(Some("b"), &[("X-A".into(), "1".into())]);
    let (response, _) = parse_response(&bytes).expect("is well formed").expect("is complete");
    assert_eq!(one(&response.headers, "sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(one(&response.headers, "x-a"), Some("1"));
    let established = asked(&["b"]).check(&response).expect("is valid");
    assert_eq!(established.protocol, "b");
}

#[test]
fn permessage_deflate_is_agreed() {
    let mut asking = asked(&[]);
    asking.deflate = Some(Parameters::default());
    let bytes = asking.to_bytes();
    let (request, _) = parse_request(&bytes).expect("is valid").expect("is complete");
    let wanted = Parameters {
        server_no_context_takeover: true,
        client_max_window_bits: 10,
        ..Parameters::default()
    };
    let (agreed, extensions) = request.negotiate(&wanted).expect("goes with it");
    let bytes = request.accept(None, &[("Sec-WebSocket-Extensions".into(), extensions)]);
    let (response, _) = parse_response(&bytes).expect("is well formed").expect("is complete");
    let established = Established {
        protocol: String::new(),
        extensions: "permessage-deflate; server_no_context_takeover; client_max_window_bits=10".into(),
        deflate: Some(agreed),
    };
    assert_eq!(asking.check(&response), Ok(established));
    let mut twice = response;
    twice
        .headers
        .push(("Sec-WebSocket-Extensions".into(), "permessage-deflate".into()));
    let fault = ResponseFault::Extension(extensions::ResponseFault::NotOffered);
    assert_eq!(asking.check(&twice), Err(fault));
}

#[test]
fn extensions_may_stand_in_several_lines() {
    let lines = [
        &LINES[..],
        &[
            "Sec-WebSocket-Extensions: other",
            "Sec-WebSocket-Extensions:",
            "Sec-WebSocket-Extensions: x, permessage-deflate",
        ],
    ]
    .concat();
    let request = request(START, &lines).expect("is valid");
    assert!(request.negotiate(&Parameters::default()).is_some());
}

#[test]
fn our_own_request_is_valid() {
    let bytes = asked(&["a"]).to_bytes();
    let (request, end) = parse_request(&bytes).expect("is valid").expect("is complete");
    assert_eq!((request.target.as_str(), end), ("/chat?x=1", bytes.len()));
    assert_eq!(request.key, KEY);
    assert_eq!(values(&request.headers, "x-name").next(), Some("é"));
    for cut in 0..bytes.len() {
        assert_eq!(parse_request(&bytes[..cut]), Ok(None), "cut at {cut}");
    }
}

#[test]
fn requests_that_are_refused() {
    let without = |index: usize| {
        let mut lines = LINES.to_vec();
        lines.remove(index);
        lines
    };
    let instead = |index: usize, line: &'static str| {
        let mut lines = LINES.to_vec();
        lines[index] = line;
        lines
    };
    let and = |line: &'static str| [&LINES[..], &[line]].concat();
    let cases: Vec<(&str, Vec<&str>, Refusal)> = vec![
        ("POST / HTTP/1.1", LINES.into(), Refusal::BadRequest),
        ("GET / HTTP/1.0", LINES.into(), Refusal::BadRequest),
        ("GET / HTTP/2.0", LINES.into(), Refusal::BadRequest),
        ("GET /", LINES.into(), Refusal::BadRequest),
        (START, without(0), Refusal::BadRequest),
        (START, and("Host: b"), Refusal::BadRequest),
        (START, without(1), Refusal::UpgradeRequired),
        (START, instead(1, "Upgrade: h2c"), Refusal::UpgradeRequired),
        (START, without(2), Refusal::UpgradeRequired),
        (START, without(3), Refusal::UpgradeRequired),
        (START, instead(3, "Sec-WebSocket-Version: 7"), Refusal::UpgradeRequired),
        (START, instead(3, "Sec-WebSocket-Version: 12"), Refusal::UpgradeRequired),
        (START, instead(3, "Sec-WebSocket-Version: 14"), Refusal::UpgradeRequired),
        (START, and("Sec-WebSocket-Version: 13"), Refusal::UpgradeRequired),
        (START, and("Sec-WebSocket-Extensions: a,,b"), Refusal::BadRequest),
        (START, and("Sec-WebSocket-Extensions: a;b=\"c"), Refusal::BadRequest),
        (START, without(4), Refusal::BadRequest),
        (
            START,
            and("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
            Refusal::BadRequest,
        ),
        (START, instead(4, "Sec-WebSocket-Key: dGhl"), Refusal::BadRequest),
        (
            START,
            instead(4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ==="),
            Refusal::BadRequest,
        ),
        (
            START,
            instead(4, "Sec-WebSocket-Key: ????????????????????????"),
            Refusal::BadRequest,
        ),
        (START, and("Sec-WebSocket-Protocol: a, a"), Refusal::BadRequest),
        (START, and("Sec-WebSocket-Protocol: a b"), Refusal::BadRequest),
        (START, and("Sec-WebSocket-Protocol:"), Refusal::BadRequest),
        (START, and("Sec-WebSocket-Protocol: a,,b"), Refusal::BadRequest),
        (START, and(" folded"), Refusal::BadRequest),
        (START, and("Name : x"), Refusal::BadRequest),
        (START, and("nothing"), Refusal::BadRequest),
    ];
    for (start, lines, expected) in cases {
        assert_eq!(request(start, &lines), Err(expected), "{start} {lines:?}");
    }
}

#[test]
fn requests_over_a_limit() {
    let lines = vec!["X: y"; 101];
    assert_eq!(request(START, &lines), Err(Refusal::HeadersTooLarge));
    let commas = format!("Sec-WebSocket-Protocol: {}", ",".repeat(60_000));
    assert_eq!(
        request(START, &[&LINES[..], &[&commas]].concat()),
        Err(Refusal::BadRequest)
    );
    let many: String = (0..10_000).map(|i| format!("{i},")).collect();
    let many = format!("Sec-WebSocket-Protocol: {many}x");
    assert_eq!(
        request(START, &[&LINES[..], &[&many]].concat()),
        Err(Refusal::BadRequest)
    );
    assert_eq!(parse_request(&vec![b'X'; MAX_HEAD + 1]), Err(Refusal::HeadersTooLarge));
    let extensions = format!("Sec-WebSocket-Extensions: {}x", "a;b=c,".repeat(10_000));
    assert!(request(START, &[&LINES[..], &[&extensions]].concat()).is_ok());
    let commas = format!("Sec-WebSocket-Extensions: {}", ",".repeat(60_000));
    assert_eq!(
        request(START, &[&LINES[..], &[&commas]].concat()),
        Err(Refusal::BadRequest)
    );
}

#[test]
fn refusals_say_what_would_do() {
    let text = |refusal: Refusal| String::from_utf8(refusal.to_bytes()).expect("ASCII");
    assert_eq!(
        text(Refusal::BadRequest),
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    assert!(text(Refusal::UpgradeRequired).starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    assert!(text(Refusal::UpgradeRequired).contains("\r\nSec-WebSocket-Version: 13\r\n"));
    assert!(text(Refusal::HeadersTooLarge).starts_with("HTTP/1.1 431 "));
    let body = reject(403, &[("X-Why".into(), "no".into())], b"go away");
    assert!(body.ends_with(b"\r\nX-Why: no\r\n\r\ngo away"));
}
