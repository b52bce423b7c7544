//! Capsules on a session's CONNECT stream: <https://www.rfc-editor.org/rfc/rfc9297#section-3> and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-6>.

use bytes::{Buf, Bytes};

use super::error_code::ErrorCode;
use super::flow_control::{Said, Unit};
use super::{Violation, varint};

const CLOSE_SESSION: u64 = 0x2843;
const DRAIN_SESSION: u64 = 0x78ae;
const MAX_DATA: u64 = 0x190b_4d3d;
const MAX_STREAM_DATA: u64 = 0x190b_4d3e;
const MAX_STREAMS_BIDI: u64 = 0x190b_4d3f;
const MAX_STREAMS_UNI: u64 = 0x190b_4d40;
const DATA_BLOCKED: u64 = 0x190b_4d41;
const STREAM_DATA_BLOCKED: u64 = 0x190b_4d42;
const STREAMS_BLOCKED_BIDI: u64 = 0x190b_4d43;
const STREAMS_BLOCKED_UNI: u64 = 0x190b_4d44;

/// The longest reason that a session may close with, in bytes of UTF-8.
pub(crate) const MAX_REASON: usize = 1024;
const LONGEST_CLOSE: u64 = MAX_REASON as u64 + 4;
/// <https://encoding.spec.whatwg.org/#utf-8-decode>
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A capsule that we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Capsule {
    /// The session has ended.
    CloseSession { code: u32, reason: String },
    /// The session should end soon.
    DrainSession,
    /// About the session's limits.
    FlowControl(Said),
}

/// Cuts the payload of DATA frames into capsules. Unknown ones are skipped as they come and never held.
#[derive(Debug, Default)]
pub(crate) struct CapsuleDecoder {
    state: State,
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    Collect {
        kind: Collected,
        length: usize,
    },
    Skip {
        left: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collected {
    CloseSession,
    Max(Unit),
    Blocked(Unit),
}

impl CapsuleDecoder {
    /// Takes bytes from the front of `input`; `None` once it is used up.
    pub(crate) fn decode(&mut self, input: &mut Bytes) -> Result<Option<Capsule>, Violation> {
        while !input.is_empty() {
            match self.state {
                State::Header => {
                    if let Some(capsule) = self.header(input)? {
                        return Ok(Some(capsule));
                    }
                }
                State::Skip { left } => {
                    let skipped = left.min(input.len() as u64);
                    input.advance(skipped as usize);
                    self.state = skip(left - skipped);
                }
                State::Collect { kind, length } => {
                    let take = (length - self.held.len()).min(input.len());
                    self.held.extend_from_slice(&input.split_to(take));
                    if self.held.len() == length {
                        self.state = State::Header;
                        let payload = std::mem::take(&mut self.held);
                        return match kind {
                            Collected::CloseSession => close_session(&payload),
                            Collected::Max(unit) => number(&payload).map(|limit| Said::Max(unit, limit).into()),
                            Collected::Blocked(unit) => number(&payload).map(|limit| Said::Blocked(unit, limit).into()),
                        }
                        .map(Some);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether no capsule is half read.
    #[cfg(test)]
    fn is_between_capsules(&self) -> bool {
        self.state == State::Header && self.held.is_empty()
    }

    fn header(&mut self, input: &mut Bytes) -> Result<Option<Capsule>, Violation> {
        while input.has_remaining() {
            self.held.push(input.get_u8());
            let Some((kind, at)) = varint::read(&self.held) else {
                continue;
            };
            let Some((length, _)) = varint::read(&self.held[at..]) else {
                continue;
            };
            self.held.clear();
            match (kind, length) {
                (CLOSE_SESSION, 4..=LONGEST_CLOSE) => {
                    self.state = State::Collect {
                        kind: Collected::CloseSession,
                        length: length as usize,
                    };
                }
                (CLOSE_SESSION, _) => return Err(malformed("CLOSE_WEBTRANSPORT_SESSION has a wrong length")),
                (DRAIN_SESSION, 0) => return Ok(Some(Capsule::DrainSession)),
                (DRAIN_SESSION, _) => return Err(malformed("DRAIN_WEBTRANSPORT_SESSION is empty")),
                // Section 5.4: whether sessions are limited or not.
                (MAX_STREAM_DATA | STREAM_DATA_BLOCKED, _) => {
                    let rule = "QUIC limits the data of a stream";
                    return Err(Violation::stream(ErrorCode::WT_FLOW_CONTROL_ERROR, rule));
                }
                (kind, length) => {
                    self.state = match (flow_control(kind), length) {
                        (None, left) => skip(left),
                        (Some(kind), 1..=8) => State::Collect {
                            kind,
                            length: length as usize,
                        },
                        (Some(_), _) => return Err(malformed("a limit is one number")),
                    };
                }
            }
            return Ok(None);
        }
        Ok(None)
    }
}

const fn malformed(rule: &'static str) -> Violation {
    Violation::stream(ErrorCode::H3_MESSAGE_ERROR, rule)
}

fn skip(left: u64) -> State {
    if left == 0 { State::Header } else { State::Skip { left } }
}

fn flow_control(kind: u64) -> Option<Collected> {
    match kind {
        MAX_DATA => Some(Collected::Max(Unit::Data)),
        MAX_STREAMS_BIDI => Some(Collected::Max(Unit::Bidirectional)),
        MAX_STREAMS_UNI => Some(Collected::Max(Unit::Unidirectional)),
        DATA_BLOCKED => Some(Collected::Blocked(Unit::Data)),
        STREAMS_BLOCKED_BIDI => Some(Collected::Blocked(Unit::Bidirectional)),
        STREAMS_BLOCKED_UNI => Some(Collected::Blocked(Unit::Unidirectional)),
        _ => None,
    }
}

fn number(payload: &[u8]) -> Result<u64, Violation> {
    match varint::read(payload) {
        Some((number, length)) if length == payload.len() => Ok(number),
        Some(_) | None => Err(malformed("a limit is one number")),
    }
}

impl From<Said> for Capsule {
    fn from(said: Said) -> Self {
        Self::FlowControl(said)
    }
}

fn close_session(payload: &[u8]) -> Result<Capsule, Violation> {
    let (code, reason) = payload
        .split_first_chunk()
        .ok_or(malformed("CLOSE_WEBTRANSPORT_SESSION has a code"))?;
    // "UTF-8 decode": a byte order mark is not part of it, and one that is not UTF-8 is for a person to read all the same.
    let reason = reason.strip_prefix(BYTE_ORDER_MARK).unwrap_or(reason);
    let reason = String::from_utf8_lossy(reason).into_owned();
    Ok(Capsule::CloseSession {
        code: u32::from_be_bytes(*code),
        reason,
    })
}

impl Capsule {
    /// The capsule's bytes. A reason longer than [`MAX_REASON`] is cut at a character.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::CloseSession { code, reason } => {
                let reason = cut_reason(reason);
                varint::write(&mut out, CLOSE_SESSION);
                varint::write(&mut out, reason.len() as u64 + 4);
                out.extend_from_slice(&code.to_be_bytes());
                out.extend_from_slice(reason.as_bytes());
            }
            Self::DrainSession => {
                varint::write(&mut out, DRAIN_SESSION);
                varint::write(&mut out, 0);
            }
            Self::FlowControl(said) => {
                let (kind, limit) = match *said {
                    Said::Max(Unit::Data, limit) => (MAX_DATA, limit),
                    Said::Max(Unit::Bidirectional, limit) => (MAX_STREAMS_BIDI, limit),
                    Said::Max(Unit::Unidirectional, limit) => (MAX_STREAMS_UNI, limit),
                    Said::Blocked(Unit::Data, limit) => (DATA_BLOCKED, limit),
                    Said::Blocked(Unit::Bidirectional, limit) => (STREAMS_BLOCKED_BIDI, limit),
                    Said::Blocked(Unit::Unidirectional, limit) => (STREAMS_BLOCKED_UNI, limit),
                };
                varint::write(&mut out, kind);
                varint::write(&mut out, varint::len(limit) as u64);
                varint::write(&mut out, limit);
            }
        }
        out
    }
}

/// As much of a reason as may be sent: its longest front that has at most [`MAX_REASON`] bytes and ends between two characters.
pub(crate) fn cut_reason(reason: &str) -> &str {
    let end = (0..=MAX_REASON.min(reason.len()))
        .rev()
        .find(|at| reason.is_char_boundary(*at));
    &reason[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], step: usize) -> Result<Vec<Capsule>, Violation> {
        let mut decoder = CapsuleDecoder::default();
        let mut capsules = Vec::new();
        for piece in bytes.chunks(step) {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(capsule) = decoder.decode(&mut input)? {
                capsules.push(capsule);
            }
        }
        Ok(capsules)
    }

    fn capsule(kind: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint::write(&mut out, kind);
        varint::write(&mut out, payload.len() as u64);
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn the_bytes_of_a_close() {
        let close = Capsule::CloseSession {
            code: 0x0102_0304,
            reason: "bye".into(),
        };
        let bytes = [0x68, 0x43, 7, 1, 2, 3, 4, b'b', b'y', b'e'];
        assert_eq!(close.encode(), bytes);
        for step in 1..=bytes.len() {
            assert_eq!(decode(&bytes, step).expect("valid"), std::slice::from_ref(&close));
        }
        for cut in 0..bytes.len() {
            let mut decoder = CapsuleDecoder::default();
            assert_eq!(decoder.decode(&mut Bytes::copy_from_slice(&bytes[..cut])), Ok(None));
            assert_eq!(decoder.is_between_capsules(), cut == 0);
        }
    }

    #[test]
    fn unknown_capsules_are_passed_over() {
        let drain = Capsule::DrainSession;
        let bytes = [capsule(0x17, b"grease"), drain.encode(), capsule(0, b"")].concat();
        for step in 1..=bytes.len() {
            assert_eq!(decode(&bytes, step).expect("valid"), [Capsule::DrainSession]);
        }
        let mut endless = Vec::new();
        varint::write(&mut endless, 0x17);
        varint::write(&mut endless, varint::MAX);
        let mut decoder = CapsuleDecoder::default();
        assert_eq!(decoder.decode(&mut endless.into()), Ok(None));
        assert_eq!(decoder.decode(&mut Bytes::from(vec![0; 1 << 20])), Ok(None));
        assert!(decoder.held.is_empty());
    }

    #[test]
    fn limits_go_both_ways() {
        for (bytes, said) in [
            (capsule(0x190B_4D3D, &[1]), Said::Max(Unit::Data, 1)),
            (capsule(0x190B_4D3F, &[0x40, 0x40]), Said::Max(Unit::Bidirectional, 64)),
            (capsule(0x190B_4D40, &[2]), Said::Max(Unit::Unidirectional, 2)),
            (capsule(0x190B_4D41, &[3]), Said::Blocked(Unit::Data, 3)),
            (capsule(0x190B_4D43, &[4]), Said::Blocked(Unit::Bidirectional, 4)),
            (capsule(0x190B_4D44, &[5]), Said::Blocked(Unit::Unidirectional, 5)),
        ] {
            let capsule = Capsule::from(said);
            assert_eq!(capsule.encode(), bytes);
            for step in 1..=bytes.len() {
                assert_eq!(decode(&bytes, step).expect("valid"), std::slice::from_ref(&capsule));
            }
        }
        for kind in [0x190B_4D3E, 0x190B_4D42] {
            let wrong = decode(&capsule(kind, &[0, 1]), 3).expect_err("prohibited");
            assert_eq!(wrong.code, ErrorCode::WT_FLOW_CONTROL_ERROR);
        }
        for wrong in [&[][..], &[0x40], &[1, 2], &[0; 9]] {
            let wrong = decode(&capsule(0x190B_4D3D, wrong), 3).expect_err("wrong");
            assert_eq!(wrong.code, ErrorCode::H3_MESSAGE_ERROR);
        }
    }

    #[test]
    fn lengths_are_limited() {
        let longest = [&[0; 4][..], &[b'x'; 1024]].concat();
        assert_eq!(decode(&capsule(CLOSE_SESSION, &longest), 5000).expect("valid").len(), 1);
        for wrong in [
            capsule(CLOSE_SESSION, &[0; 1029]),
            capsule(CLOSE_SESSION, &[0; 3]),
            capsule(CLOSE_SESSION, b""),
            capsule(DRAIN_SESSION, &[0]),
        ] {
            assert_eq!(decode(&wrong, 7).expect_err("wrong").code, ErrorCode::H3_MESSAGE_ERROR);
        }
    }

    #[test]
    fn a_reason_is_text_of_at_most_1024_bytes() {
        let bytes = Capsule::CloseSession {
            code: 0,
            reason: "€".repeat(500),
        }
        .encode();
        assert_eq!(
            decode(&bytes, 5000).expect("valid"),
            [Capsule::CloseSession {
                code: 0,
                reason: "€".repeat(341)
            }]
        );
        for (payload, expected) in [
            (&[0, 0, 0, 1, b'a', 0xff, b'b'][..], "a\u{fffd}b"),
            (&[0, 0, 0, 1, 0xef, 0xbb, 0xbf, b'a'], "a"),
            (&[0, 0, 0, 1, b'a', 0xef, 0xbb, 0xbf], "a\u{feff}"),
        ] {
            assert_eq!(
                decode(&capsule(CLOSE_SESSION, payload), 5000).expect("valid"),
                [Capsule::CloseSession {
                    code: 1,
                    reason: expected.into()
                }]
            );
        }
    }
}
