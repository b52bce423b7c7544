//! HTTP/3 frames: <https://www.rfc-editor.org/rfc/rfc9114#section-7>.

use bytes::{Buf, Bytes};

use super::error_code::ErrorCode;
use super::{Violation, varint};

const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
const CANCEL_PUSH: u64 = 0x03;
const SETTINGS: u64 = 0x04;
const PUSH_PROMISE: u64 = 0x05;
const GOAWAY: u64 = 0x07;
const MAX_PUSH_ID: u64 = 0x0d;

/// The largest payload that is held as a whole: HEADERS and SETTINGS. DATA passes through, the rest is skipped.
pub(crate) const MAX_PAYLOAD: u64 = super::qpack::MAX_FIELD_SECTION_SIZE as u64;

/// The request fails, and no other: RFC 9114, section 4.2.2.
pub(crate) const LONG_HEADERS: Violation =
    Violation::stream(ErrorCode::H3_EXCESSIVE_LOAD, "a field section is longer than we take");
const LONG_FRAME: Violation = Violation::connection(ErrorCode::H3_EXCESSIVE_LOAD, "a frame is longer than we take");

/// A frame, or the next piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A piece of a DATA frame's payload, as it came.
    Data(Bytes),
    /// An encoded field section.
    Headers(Bytes),
    /// A SETTINGS payload.
    Settings(Bytes),
    /// The last request, or push, that the peer will look at.
    Goaway(u64),
}

/// Which frames a stream may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A control stream: SETTINGS first and once, no HEADERS, no DATA.
    Control,
    /// A request's stream: HEADERS and DATA.
    Request,
}

/// Cuts a stream's bytes into frames. Unknown frames are skipped as they come and never held.
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    carrier: Carrier,
    state: State,
    /// Bytes of a frame's header, or of a payload that is wanted whole, so far.
    held: Vec<u8>,
    settings: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Awaited,
    Seen,
}

//  Header ──DATA──────────────► PassThrough { left } ──0──► Header
//     ├─────HEADERS, SETTINGS, GOAWAY ─► Collect ──whole──► Header
//     └─────unknown ──────────────────► Skip { left } ──0─► Header
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    PassThrough { left: u64 },
    Collect { kind: Collected, length: usize },
    Skip { left: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collected {
    Headers,
    Settings,
    Goaway,
}

impl FrameDecoder {
    /// A decoder at the front of a stream.
    pub(crate) fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            state: State::Header,
            held: Vec::new(),
            settings: Order::Awaited,
        }
    }

    /// Takes bytes from the front of `input`; `None` once it is used up.
    pub(crate) fn decode(&mut self, input: &mut Bytes) -> Result<Option<Frame>, Violation> {
        while !input.is_empty() {
            match self.state {
                State::Header => self.header(input)?,
                State::PassThrough { left } => {
                    let piece = input.split_to(left.min(input.len() as u64) as usize);
                    self.state = after(left - piece.len() as u64, |left| State::PassThrough { left });
                    return Ok(Some(Frame::Data(piece)));
                }
                State::Skip { left } => {
                    let skipped = left.min(input.len() as u64);
                    input.advance(skipped as usize);
                    self.state = after(left - skipped, |left| State::Skip { left });
                }
                State::Collect { kind, length } => {
                    let take = (length - self.held.len()).min(input.len());
                    self.held.extend_from_slice(&input.split_to(take));
                    if self.held.len() == length {
                        return self.collected(kind).map(Some);
                    }
                }
            }
            // A payload of no bytes is whole before another byte comes.
            if let State::Collect { kind, length: 0 } = self.state {
                return self.collected(kind).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether the stream may end here: not inside a frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.state == State::Header && self.held.is_empty()
    }

    fn header(&mut self, input: &mut Bytes) -> Result<(), Violation> {
        // Byte by byte: a header is at most 16 bytes, and often cut anywhere.
        while input.has_remaining() {
            self.held.push(input.get_u8());
            let Some((kind, at)) = varint::read(&self.held) else {
                continue;
            };
            let Some((length, _)) = varint::read(&self.held[at..]) else {
                continue;
            };
            self.held.clear();
            self.state = self.begin(kind, length)?;
            return Ok(());
        }
        Ok(())
    }

    fn begin(&mut self, kind: u64, length: u64) -> Result<State, Violation> {
        if self.carrier == Carrier::Control && self.settings == Order::Awaited && kind != SETTINGS {
            return Err(Violation::connection(
                ErrorCode::H3_MISSING_SETTINGS,
                "SETTINGS is the first control frame",
            ));
        }
        let collect = |kind, limit, too_long| match usize::try_from(length) {
            Ok(length) if length as u64 <= limit => Ok(State::Collect { kind, length }),
            _ => Err(too_long),
        };
        match (kind, self.carrier) {
            (DATA, Carrier::Request) => Ok(after(length, |left| State::PassThrough { left })),
            (HEADERS, Carrier::Request) => collect(Collected::Headers, MAX_PAYLOAD, LONG_HEADERS),
            (SETTINGS, Carrier::Control) if self.settings == Order::Awaited => {
                self.settings = Order::Seen;
                collect(Collected::Settings, MAX_PAYLOAD, LONG_FRAME)
            }
            (GOAWAY, Carrier::Control) => collect(Collected::Goaway, 8, LONG_FRAME),
            (CANCEL_PUSH | MAX_PUSH_ID, Carrier::Control) => Ok(after(length, |left| State::Skip { left })),
            (DATA | HEADERS | PUSH_PROMISE, Carrier::Control)
            | (SETTINGS | GOAWAY | CANCEL_PUSH | MAX_PUSH_ID | PUSH_PROMISE, Carrier::Request)
            | (SETTINGS, Carrier::Control)
            // Frames of HTTP/2.
            | (0x02 | 0x06 | 0x08 | 0x09, _) => {
                Err(Violation::connection(ErrorCode::H3_FRAME_UNEXPECTED, "a frame in the wrong place"))
            }
            _ => Ok(after(length, |left| State::Skip { left })),
        }
    }

    fn collected(&mut self, kind: Collected) -> Result<Frame, Violation> {
        self.state = State::Header;
        let payload = Bytes::from(std::mem::take(&mut self.held));
        match kind {
            Collected::Headers => Ok(Frame::Headers(payload)),
            Collected::Settings => Ok(Frame::Settings(payload)),
            Collected::Goaway => match varint::read(&payload) {
                Some((id, length)) if length == payload.len() => Ok(Frame::Goaway(id)),
                _ => Err(Violation::connection(
                    ErrorCode::H3_FRAME_ERROR,
                    "GOAWAY holds one number",
                )),
            },
        }
    }
}

fn after(left: u64, state: impl FnOnce(u64) -> State) -> State {
    if left == 0 { State::Header } else { state(left) }
}

/// A HEADERS frame around an encoded field section.
pub(crate) fn headers(field_section: &[u8]) -> Vec<u8> {
    frame(HEADERS, field_section)
}

/// A DATA frame around a payload.
pub(crate) fn data(payload: &[u8]) -> Vec<u8> {
    frame(DATA, payload)
}

/// A SETTINGS frame around a payload.
pub(crate) fn settings(payload: &[u8]) -> Vec<u8> {
    frame(SETTINGS, payload)
}

/// A GOAWAY frame: requests from `id` on are not looked at.
pub(crate) fn goaway(id: u64) -> Vec<u8> {
    let mut payload = Vec::with_capacity(8);
    varint::write(&mut payload, id);
    frame(GOAWAY, &payload)
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 16);
    varint::write(&mut out, kind);
    varint::write(&mut out, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All frames of `bytes` fed in pieces of `step`; DATA pieces are joined.
    fn decode(carrier: Carrier, bytes: &[u8], step: usize) -> Result<Vec<Frame>, Violation> {
        let mut decoder = FrameDecoder::new(carrier);
        let mut frames: Vec<Frame> = Vec::new();
        for piece in bytes.chunks(step) {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(frame) = decoder.decode(&mut input)? {
                match (frames.last_mut(), frame) {
                    (Some(Frame::Data(last)), Frame::Data(piece)) => *last = [&last[..], &piece].concat().into(),
                    (_, frame) => frames.push(frame),
                }
            }
        }
        Ok(frames)
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_request_stream_cut_anywhere() {
        let stream = [
            frame(0x21, b"grease"),
            headers(b"fields"),
            frame(0x40, b""),
            data(b"one"),
            data(b""),
            frame(0x3f, b"x"),
        ]
        .concat();
        for step in 1..=stream.len() {
            let frames = decode(Carrier::Request, &stream, step).expect("valid");
            assert_eq!(
                frames,
                [Frame::Headers(bytes("fields")), Frame::Data(bytes("one"))],
                "step {step}"
            );
        }
    }

    #[test]
    fn a_control_stream_cut_anywhere() {
        let stream = [
            settings(b""),
            frame(0x21, b"grease"),
            goaway(4),
            frame(MAX_PUSH_ID, &[9]),
        ]
        .concat();
        for step in 1..=stream.len() {
            let frames = decode(Carrier::Control, &stream, step).expect("valid");
            assert_eq!(frames, [Frame::Settings(bytes("")), Frame::Goaway(4)], "step {step}");
        }
    }

    #[test]
    fn an_unknown_frame_of_any_length_is_not_held() {
        let mut decoder = FrameDecoder::new(Carrier::Request);
        let mut header = vec![0x21];
        varint::write(&mut header, varint::MAX);
        assert_eq!(decoder.decode(&mut header.into()), Ok(None));
        for _ in 0..1000 {
            assert_eq!(decoder.decode(&mut Bytes::from_static(&[0; 1024])), Ok(None));
        }
        assert!(decoder.held.is_empty());
        assert!(!decoder.is_between_frames());
    }

    #[test]
    fn wrong_places_and_lengths() {
        let unexpected = ErrorCode::H3_FRAME_UNEXPECTED;
        let begun = settings(b"");
        for (carrier, stream, code) in [
            (Carrier::Control, headers(b""), ErrorCode::H3_MISSING_SETTINGS),
            (Carrier::Control, frame(0x21, b""), ErrorCode::H3_MISSING_SETTINGS),
            (Carrier::Control, [&begun[..], &settings(b"")].concat(), unexpected),
            (Carrier::Control, [&begun[..], &data(b"x")].concat(), unexpected),
            (Carrier::Control, [&begun[..], &headers(b"")].concat(), unexpected),
            (Carrier::Control, [&begun[..], &frame(0x06, b"")].concat(), unexpected),
            (
                Carrier::Control,
                [&begun[..], &frame(GOAWAY, &[0x40])].concat(),
                ErrorCode::H3_FRAME_ERROR,
            ),
            (
                Carrier::Control,
                [&begun[..], &frame(GOAWAY, &[1, 2])].concat(),
                ErrorCode::H3_FRAME_ERROR,
            ),
            (
                Carrier::Control,
                [&begun[..], &frame(GOAWAY, b"")].concat(),
                ErrorCode::H3_FRAME_ERROR,
            ),
            (Carrier::Request, begun.clone(), unexpected),
            (Carrier::Request, goaway(0), unexpected),
            (Carrier::Request, frame(PUSH_PROMISE, b""), unexpected),
            (Carrier::Request, frame(0x02, b""), unexpected),
            (Carrier::Request, frame(0x09, b""), unexpected),
            (
                Carrier::Request,
                vec![0x01, 0xc0, 0, 0, 0, 0, 1, 0, 1],
                ErrorCode::H3_EXCESSIVE_LOAD,
            ),
            (
                Carrier::Control,
                vec![0x04, 0xff, 255, 255, 255, 255, 255, 255, 255],
                ErrorCode::H3_EXCESSIVE_LOAD,
            ),
        ] {
            assert_eq!(
                decode(carrier, &stream, stream.len()).expect_err("wrong").code,
                code,
                "{stream:?}"
            );
        }
    }

    #[test]
    fn headers_that_are_too_long_end_their_request_only() {
        for (carrier, kind, expected) in [
            (Carrier::Request, HEADERS, LONG_HEADERS),
            (Carrier::Control, SETTINGS, LONG_FRAME),
        ] {
            let mut stream = Vec::new();
            varint::write(&mut stream, kind);
            varint::write(&mut stream, MAX_PAYLOAD + 1);
            assert_eq!(decode(carrier, &stream, 1).expect_err("too long"), expected);
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_told() {
        let stream = headers(b"fields");
        for cut in 0..=stream.len() {
            let mut decoder = FrameDecoder::new(Carrier::Request);
            let mut input = Bytes::copy_from_slice(&stream[..cut]);
            while decoder.decode(&mut input).expect("valid").is_some() {}
            assert_eq!(
                decoder.is_between_frames(),
                cut == 0 || cut == stream.len(),
                "cut at {cut}"
            );
        }
    }
}
