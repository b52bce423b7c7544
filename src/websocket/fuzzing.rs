//! What the fuzz targets of `fuzz/` do with a peer's bytes. Their corpora are replayed as tests.

use super::deflate::{ContextTakeover, Inflater};
use super::extensions::{self, Parameters};
use super::frame::Role;
use super::handshake::{ClientRequest, RequestReader, Response, ResponseFault, ResponseReader};
use super::message::{Incoming, Kind, MessageReader};

/// What a reader made of its input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Failed(u16),
}

impl Seen {
    fn whole(kind: Kind, bytes: &[u8]) -> Self {
        match kind {
            Kind::Text => Self::Text(std::str::from_utf8(bytes).expect("was checked").into()),
            Kind::Binary => Self::Binary(bytes.into()),
        }
    }

    /// `None`: nothing came, but a pause. A long message lies in the input that `next` was given.
    pub(super) fn of(incoming: Incoming<'_>) -> Option<Self> {
        Some(match incoming {
            Incoming::Text(text) => Self::Text(text.into()),
            Incoming::Binary(bytes) => Self::Binary(bytes.into()),
            Incoming::Assembled(kind, bytes) => Self::whole(kind, &bytes),
            Incoming::Long(..) => return None,
            Incoming::Ping(bytes) => Self::Ping(bytes.into()),
            Incoming::Pong(bytes) => Self::Pong(bytes.into()),
            Incoming::Close(frame) => Self::Close(frame.map(|frame| (frame.code, frame.reason.into()))),
            Incoming::Pause => return None,
        })
    }
}

/// Feeds `stream` in chunks of `size` bytes, as a task does it.
pub(super) fn read(reader: &mut MessageReader, stream: &[u8], size: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut buffer = Vec::new();
    for chunk in stream.chunks(size) {
        buffer.extend_from_slice(chunk);
        let mut position = 0;
        loop {
            match reader.next(&mut buffer, &mut position) {
                Ok(Some(Incoming::Long(kind, place))) => seen.push(Seen::whole(kind, &buffer[place])),
                Ok(Some(incoming)) => seen.extend(Seen::of(incoming)),
                Ok(None) => break,
                Err(failure) => {
                    seen.push(Seen::Failed(failure.code));
                    return seen;
                }
            }
        }
        buffer.drain(..position);
        assert!(buffer.len() < 139);
    }
    seen
}

/// Frames: the first byte chooses the role and whether permessage-deflate is agreed, the second the size of the pieces.
/// The pieces give what the whole gives, no message is over the limit, and nothing follows a failure. A compressed message
/// with two faults, too long and corrupt behind that, fails with either code: how far one call of zlib goes decides.
pub fn frames(data: &[u8]) {
    const LIMIT: usize = 70_000;
    let [choice, size, stream @ ..] = data else {
        return;
    };
    let role = if choice & 1 == 0 { Role::Client } else { Role::Server };
    let inflater = || match choice & 6 {
        2 => Some(Inflater::new(ContextTakeover::Allowed)),
        4 => Some(Inflater::new(ContextTakeover::RuledOut)),
        _ => None,
    };
    let reader = || MessageReader::new(role, LIMIT).with_inflater(inflater());
    let whole = read(&mut reader(), stream, usize::MAX);
    let pieces = read(&mut reader(), stream, 1 + usize::from(*size));
    let either = |seen: &Seen| *seen == Seen::Failed(1007) || *seen == Seen::Failed(1009);
    match (whole.split_last(), pieces.split_last()) {
        (Some((last, before)), Some((other, before_other))) if choice & 6 != 0 && either(last) && either(other) => {
            assert_eq!(before, before_other);
        }
        _ => assert_eq!(whole, pieces),
    }
    for (index, seen) in whole.iter().enumerate() {
        match seen {
            Seen::Text(text) => assert!(text.len() <= LIMIT),
            Seen::Binary(bytes) => assert!(bytes.len() <= LIMIT),
            Seen::Ping(bytes) | Seen::Pong(bytes) => assert!(bytes.len() <= 125),
            Seen::Close(_) => {}
            Seen::Failed(code) => {
                assert!(matches!(code, 1002 | 1007 | 1008 | 1009));
                assert_eq!(index + 1, whole.len());
            }
        }
    }
}

/// Gives a reader ever more of `input`, one byte at a time, until it has what it wants or finds a fault.
fn byte_by_byte<T, E>(input: &[u8], mut read: impl FnMut(&[u8]) -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    for end in 1..=input.len() {
        match read(&input[..end]) {
            Ok(None) => {}
            done => return done,
        }
    }
    Ok(None)
}

/// A server's answer to the opening handshake: it ends where it ends however much follows and in whatever pieces it comes,
/// and opens nothing that was not asked for.
pub fn response(data: &[u8]) {
    let read = |input: &[u8]| ResponseReader::default().read(input);
    let seen = |read: Result<Option<(Response, usize)>, ResponseFault>| {
        read.map(|whole| whole.map(|(response, end)| (response.status, response.headers, end)))
    };
    let whole = read(data);
    let mut pieces = ResponseReader::default();
    let in_pieces = byte_by_byte(data, |input| pieces.read(input));
    let Ok(Some((response, end))) = whole else {
        assert_eq!(seen(in_pieces), seen(whole));
        return;
    };
    assert!(end <= data.len());
    let expected = (response.status, response.headers.clone(), end);
    assert_eq!(seen(in_pieces), Ok(Some(expected.clone())));
    assert_eq!(seen(read(&data[..end])), Ok(Some(expected)));
    let request = ClientRequest {
        target: "/".into(),
        host: "localhost".into(),
        key: "dGhlIHNhbXBsZSBub25jZQ==".into(),
        protocols: vec!["chat".into()],
        deflate: Some(Parameters::default()),
        headers: Vec::new(),
    };
    if let Ok(established) = request.check(&response) {
        let protocol = established.protocol;
        assert!(response.status == 101 && (protocol.is_empty() || protocol == "chat"));
    }
}

/// `Sec-WebSocket-Extensions`, from either end: what a server accepts its client understands alike.
pub fn extensions(data: &[u8]) {
    let Ok(value) = std::str::from_utf8(data) else {
        return;
    };
    // Only for what it might do.
    let _ignored = extensions::read_response(value, Some(&Parameters::default()));
    let Ok(offers) = extensions::parse(value) else {
        return;
    };
    if let Some((agreed, response)) = extensions::accept(&offers, &Parameters::default()) {
        let offered = Parameters {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            ..agreed
        };
        assert_eq!(extensions::read_response(&response, Some(&offered)), Ok(Some(agreed)));
    }
}

/// A client's request: the same in whatever pieces it comes; what is accepted can be answered, and no header of it breaks a
/// line.
pub fn request(data: &[u8]) {
    let whole = RequestReader::default().read(data);
    let mut pieces = RequestReader::default();
    assert_eq!(byte_by_byte(data, |input| pieces.read(input)), whole);
    let Ok(Some((request, end))) = whole else {
        return;
    };
    assert!(end <= data.len());
    for (name, value) in &request.headers {
        assert!(!name.contains(['\r', '\n', '\0']) && !value.contains(['\r', '\n', '\0']));
    }
    let answer = request.accept(None, &[]);
    let (answer, _) = ResponseReader::default()
        .read(&answer)
        .expect("ours is valid")
        .expect("and whole");
    assert_eq!(answer.status, 101);
}

#[cfg(test)]
mod tests {
    use crate::corpus::replay;

    #[test]
    fn frames() {
        replay("websocket_frames", super::frames);
    }

    #[test]
    fn response() {
        replay("websocket_response", super::response);
    }

    #[test]
    fn extensions() {
        replay("websocket_extensions", super::extensions);
    }

    #[test]
    fn request() {
        replay("websocket_request", super::request);
    }
}
