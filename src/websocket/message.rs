//! Frames → messages: [RFC 6455 sections 5 and 8.1](https://www.rfc-editor.org/rfc/rfc6455#section-5), above
//! tungstenite's frame header.
//!
//! A message that lies whole in the read buffer is handed out as a slice of it: no allocation, no copy. Any other is
//! gathered into one buffer, checked against the size limit by its header, unmasked and checked for UTF-8 as it comes.
//! A compressed one ([RFC 7692](https://www.rfc-editor.org/rfc/rfc7692#section-6)) is inflated as it comes, and checked
//! against the size limit as it comes out.

use std::io::Cursor;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::deflate::{Corrupt, Inflater, OUTPUT, Whole};
use super::frame::{MAX_CONTROL_PAYLOAD, MAX_HEADER, Role, advance_mask, apply_mask};

mod assembly;
mod short;

use assembly::{Assembly, Form};
use short::short_message;

/// Bytes set aside at once for a message that has only been announced.
const MAX_FIRST_RESERVATION: usize = 1 << 20;
/// A message from this length on is worth to spare its copy.
pub(crate) const LONG: usize = 16 * 1024;
/// Compressed bytes that are inflated at once: to four megabytes at most.
const COMPRESSED_PIECE: usize = 4 * 1024;
/// Inflated bytes after which others get their turn, and the script is asked whether it has room.
const INFLATED_A_TURN: usize = 1 << 20;

/// What a data message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8, already checked.
    Text,
    /// Bytes.
    Binary,
}

impl From<Kind> for Data {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

/// What came from the peer, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// A text message that lay whole in the input.
    Text(&'a str),
    /// A binary message that lay whole in the input.
    Binary(&'a [u8]),
    /// A long message that lies whole in the input, there: for who can keep that as it is.
    Long(Kind, Range<usize>),
    /// A message that came in pieces.
    Assembled(Kind, Bytes),
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer's Close frame. Nothing that follows it counts.
    Close(Option<CloseFrame<'a>>),
    /// Much was inflated: call again with the rest of the input, when there is room and others had their turn.
    Pause,
}

/// Code and reason of a Close frame that has a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CloseFrame<'a> {
    /// A code that may appear on the wire.
    pub(crate) code: u16,
    /// At most 123 bytes.
    pub(crate) reason: &'a str,
}

/// Why the connection fails: the peer broke the protocol or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The code of the Close frame that the peer is sent.
    pub(crate) code: u16,
    /// Its reason, for the peer's log.
    pub(crate) reason: &'static str,
}

const fn protocol_error(reason: &'static str) -> Failure {
    Failure { code: 1002, reason }
}

const NOT_UTF8: Failure = Failure {
    code: 1007,
    reason: "invalid UTF-8",
};
const TOO_BIG: Failure = Failure {
    code: 1009,
    reason: "message too big",
};
const CORRUPT: Failure = Failure {
    code: 1007,
    reason: "invalid compressed data",
};

/// The data frame whose payload is arriving.
struct Arriving {
    remaining: usize,
    is_final: bool,
    /// Turned so that its first byte is for the next payload byte.
    mask: Option<[u8; 4]>,
}

/// Turns the bytes of one connection into messages.
///
/// ```text
/// next ──short────────────────────────────────────────────────▶ Text, Binary
///     └──header──▶ whole in the input ─────────────────────────▶ Text, Binary, Long, Ping, Pong, Close
///            └───▶ assembly, arriving ──payload── next or arrived ──last one──▶ Assembled
/// ```
pub(crate) struct MessageReader {
    role: Role,
    max_message_size: usize,
    assembly: Option<Assembly>,
    arriving: Option<Arriving>,
    /// Where permessage-deflate is agreed.
    inflater: Option<Box<Inflater>>,
    /// Bytes inflated in this turn.
    inflated: usize,
}

impl MessageReader {
    /// A reader for the end `role`; no message may be longer than `max_message_size` bytes.
    pub(crate) fn new(role: Role, max_message_size: usize) -> Self {
        Self {
            role,
            max_message_size,
            assembly: None,
            arriving: None,
            inflater: None,
            inflated: 0,
        }
    }

    /// With permessage-deflate.
    pub(crate) fn with_inflater(self, inflater: Option<Inflater>) -> Self {
        Self {
            inflater: inflater.map(Box::new),
            ..self
        }
    }

    /// Gives back what the thread has lent, at the end of a turn. What was handed out last is gone.
    pub(crate) fn release(&mut self) {
        if let Some(inflater) = &mut self.inflater {
            inflater.release();
        }
    }

    /// Reads up to one message from `input`, starting at `position`, and moves `position` behind what was used.
    ///
    /// `None` means that all is used but the beginning of a header or of a control frame (less than 139 bytes): call
    /// again with it and more.
    pub(crate) fn next<'a>(
        &'a mut self,
        input: &'a mut [u8],
        position: &mut usize,
    ) -> Result<Option<Incoming<'a>>, Failure> {
        loop {
            if self.inflated >= INFLATED_A_TURN {
                self.inflated = 0;
                return Ok(Some(Incoming::Pause));
            }
            if let Some(arriving) = &self.arriving {
                let length = arriving.remaining.min(input.len() - *position);
                if length == 0 && arriving.remaining > 0 {
                    return Ok(None);
                }
                let length = length.min(self.most_at_once());
                let chunk = &mut input[*position..*position + length];
                *position += length;
                if let Some((kind, data)) = self.append(chunk)? {
                    return Ok(Some(Incoming::Assembled(kind, data)));
                }
                continue;
            }
            if self.assembly.is_none()
                && let Some(short) = short_message(&input[*position..], self.role)
                && short.length <= self.max_message_size
            {
                let start = *position + short.header;
                let payload = take(input, start, short.length, short.mask, position);
                return borrowed(short.kind, payload).map(Some);
            }
            let mut cursor = Cursor::new(&input[*position..]);
            let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(invalid_header)? else {
                self.check_front(&input[*position..])?;
                return Ok(None);
            };
            let header_length = cursor.position() as usize;
            self.check_header(&header, length)?;
            if length > i64::MAX as u64 || header.len(length) != header_length {
                return Err(protocol_error("invalid payload length"));
            }
            let start = *position + header_length;
            let whole = length <= (input.len() - start) as u64;
            match header.opcode {
                OpCode::Control(control) => {
                    if !whole {
                        return Ok(None);
                    }
                    let payload = take(input, start, length as usize, header.mask, position);
                    return read_control(control, payload).map(Some);
                }
                OpCode::Data(data) => {
                    let length = self.check_size(&header, length)?;
                    let kind = match data {
                        Data::Text => Some(Kind::Text),
                        Data::Binary => Some(Kind::Binary),
                        Data::Continue | Data::Reserved(_) => None,
                    };
                    match kind {
                        Some(kind) if whole && header.is_final && header.rsv1 => {
                            let payload = take(input, start, length, header.mask, position);
                            if let Some(length) = self.inflate_whole(kind, payload, position)? {
                                let inflater = self.inflater.as_ref().expect("RSV1 is for those that have one");
                                return borrowed(kind, inflater.output(length)).map(Some);
                            }
                            continue;
                        }
                        Some(kind) if whole && header.is_final => {
                            let payload = take(input, start, length, header.mask, position);
                            let message = borrowed(kind, payload)?;
                            return Ok(Some(if length >= LONG {
                                Incoming::Long(kind, start..*position)
                            } else {
                                message
                            }));
                        }
                        Some(kind) if header.rsv1 => {
                            self.assembly = Some(Assembly::new(kind, Form::Deflated { received: 0 }, 0));
                        }
                        Some(kind) => {
                            let expected = length.min(MAX_FIRST_RESERVATION);
                            self.assembly = Some(Assembly::new(kind, Form::Plain, expected));
                        }
                        None => {}
                    }
                    *position = start;
                    self.arriving = Some(Arriving {
                        remaining: length,
                        is_final: header.is_final,
                        mask: header.mask,
                    });
                }
            }
        }
    }

    /// Inflates a message of which all data is there. Returns its length if the thread's output holds it; otherwise it is
    /// to be gathered, and `position` is moved back to what is left of its data, which is not masked any more.
    fn inflate_whole(&mut self, kind: Kind, payload: &[u8], position: &mut usize) -> Result<Option<usize>, Failure> {
        let inflater = self.inflater.as_mut().expect("RSV1 is for those that have one");
        match inflater.whole(payload).map_err(|Corrupt| CORRUPT)? {
            Whole::Fits(length) if length > self.max_message_size => Err(TOO_BIG),
            Whole::Fits(length) => {
                self.inflated += length;
                Ok(Some(length))
            }
            Whole::Longer(read) => {
                let mut assembly = Assembly::new(kind, Form::Deflated { received: read }, 2 * OUTPUT);
                assembly.add(inflater.output(OUTPUT), self.max_message_size)?;
                self.inflated += OUTPUT;
                self.assembly = Some(assembly);
                let remaining = payload.len() - read;
                *position -= remaining;
                self.arriving = Some(Arriving {
                    remaining,
                    is_final: true,
                    mask: None,
                });
                Ok(None)
            }
        }
    }

    /// Bytes of arriving payload that are used at once.
    fn most_at_once(&self) -> usize {
        match self.assembly.as_ref().map(|assembly| assembly.form) {
            Some(Form::Deflated { .. }) => COMPRESSED_PIECE,
            Some(Form::Plain) | None => usize::MAX,
        }
    }

    /// Where to read the rest of a long payload to, without a detour, and how many bytes belong there at most.
    /// Append to the buffer, then call `arrived`.
    pub(crate) fn payload_room(&mut self) -> Option<(&mut BytesMut, usize)> {
        let (assembly, arriving) = (self.assembly.as_mut()?, self.arriving.as_ref()?);
        if arriving.remaining == 0 || assembly.form != Form::Plain {
            return None;
        }
        if assembly.data.capacity() == assembly.data.len() {
            assembly
                .data
                .reserve(arriving.remaining.min(assembly.data.len().max(MAX_FIRST_RESERVATION)));
        }
        Some((&mut assembly.data, arriving.remaining))
    }

    /// Says that `length` bytes were appended to the buffer of `payload_room`. A message that they completed is what
    /// `next` returns next.
    pub(crate) fn arrived(&mut self, length: usize) -> Result<(), Failure> {
        let arriving = self.arriving.as_mut().expect("payload_room gave a buffer");
        let assembly = self.assembly.as_mut().expect("an arriving payload has an assembly");
        arriving.remaining -= length;
        if let Some(mask) = &mut arriving.mask {
            let start = assembly.data.len() - length;
            apply_mask(&mut assembly.data[start..], *mask);
            *mask = advance_mask(*mask, length);
        }
        assembly.validate()
    }

    /// Appends payload to the assembly and returns the message if it is complete.
    fn append(&mut self, chunk: &mut [u8]) -> Result<Option<(Kind, Bytes)>, Failure> {
        let assembly = self.assembly.as_mut().expect("an arriving payload has an assembly");
        match &mut assembly.form {
            Form::Plain if chunk.is_empty() => {}
            Form::Plain => {
                assembly.data.extend_from_slice(chunk);
                self.arrived(chunk.len())?;
            }
            Form::Deflated { received } => {
                *received += chunk.len();
                let arriving = self.arriving.as_mut().expect("it is arriving");
                arriving.remaining -= chunk.len();
                if let Some(mask) = &mut arriving.mask {
                    apply_mask(chunk, *mask);
                    *mask = advance_mask(*mask, chunk.len());
                }
                let inflater = self.inflater.as_mut().expect("RSV1 is for those that have one");
                self.inflated += assembly.inflate(inflater, chunk, self.max_message_size)?;
            }
        }
        let is_final = match &self.arriving {
            Some(Arriving {
                remaining: 0, is_final, ..
            }) => *is_final,
            Some(_) | None => return Ok(None),
        };
        self.arriving = None;
        if !is_final {
            return Ok(None);
        }
        let mut assembly = self.assembly.take().expect("an arriving payload has an assembly");
        if let (Form::Deflated { .. }, Some(inflater)) = (assembly.form, &mut self.inflater) {
            self.inflated += assembly.finish(inflater, self.max_message_size)?;
        }
        assembly.complete().map(Some)
    }

    /// Fails as soon as the first two bytes of a header are wrong, whether the rest comes or not.
    fn check_front(&self, input: &[u8]) -> Result<(), Failure> {
        let [first, second, ..] = input else {
            return Ok(());
        };
        // The longest header: what is missing of the length and the mask is 0.
        let mut padded = [0; MAX_HEADER];
        (padded[0], padded[1]) = (*first, *second);
        let Some((header, _)) = FrameHeader::parse(&mut Cursor::new(&padded[..])).map_err(invalid_header)? else {
            return Ok(());
        };
        self.check_header(&header, u64::from(second & 0x7f))
    }

    /// Everything that a header alone can get wrong, but for how a length is written and the size of a message.
    fn check_header(&self, header: &FrameHeader, length: u64) -> Result<(), Failure> {
        // RSV1 is permessage-deflate's, on the first frame of a data message (RFC 7692 section 6).
        let may_be_compressed =
            self.inflater.is_some() && matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        if (header.rsv1 && !may_be_compressed) || header.rsv2 || header.rsv3 {
            return Err(protocol_error("reserved bits are set"));
        }
        match (self.role, header.mask) {
            (Role::Client, Some(_)) => return Err(protocol_error("a server must not mask its frames")),
            (Role::Server, None) => return Err(protocol_error("a client must mask its frames")),
            (Role::Client, None) | (Role::Server, Some(_)) => {}
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => Err(protocol_error("a control frame must not be fragmented")),
            OpCode::Control(_) if length > MAX_CONTROL_PAYLOAD as u64 => {
                Err(protocol_error("a control frame must not exceed 125 bytes"))
            }
            OpCode::Control(Control::Close) if length == 1 => Err(protocol_error("invalid close payload")),
            OpCode::Data(Data::Continue) if self.assembly.is_none() => {
                Err(protocol_error("there is no message to continue"))
            }
            OpCode::Data(Data::Text | Data::Binary) if self.assembly.is_some() => {
                Err(protocol_error("the message before is not finished"))
            }
            OpCode::Control(_) | OpCode::Data(_) => Ok(()),
        }
    }

    /// Counts a data frame of `length` bytes against the limits of its message.
    fn check_size(&mut self, header: &FrameHeader, length: u64) -> Result<usize, Failure> {
        let (before, form) = match &mut self.assembly {
            Some(assembly) => (assembly.count_frame()?, assembly.form),
            None if header.rsv1 => (0, Form::Deflated { received: 0 }),
            None => (0, Form::Plain),
        };
        let limit = match form {
            Form::Plain => self.max_message_size,
            // What can't be compressed grows by a few bytes in every ten thousand.
            Form::Deflated { .. } => self.max_message_size + self.max_message_size / 64 + 1024,
        };
        match usize::try_from(length) {
            Ok(length) if length <= limit.saturating_sub(before) => Ok(length),
            Ok(_) | Err(_) => Err(TOO_BIG),
        }
    }
}

/// A message that lies whole in memory.
fn borrowed(kind: Kind, data: &[u8]) -> Result<Incoming<'_>, Failure> {
    match kind {
        Kind::Text => simdutf8::basic::from_utf8(data)
            .map(Incoming::Text)
            .map_err(|_| NOT_UTF8),
        Kind::Binary => Ok(Incoming::Binary(data)),
    }
}

/// Unmasks a whole payload in place and moves `position` behind it.
fn take<'a>(input: &'a mut [u8], start: usize, length: usize, mask: Option<[u8; 4]>, position: &mut usize) -> &'a [u8] {
    let payload = &mut input[start..start + length];
    if let Some(mask) = mask {
        apply_mask(payload, mask);
    }
    *position = start + length;
    payload
}

fn invalid_header(_: Error) -> Failure {
    // The only error that the parser has for bytes in memory.
    protocol_error("unknown opcode")
}

fn read_control(control: Control, payload: &[u8]) -> Result<Incoming<'_>, Failure> {
    match control {
        Control::Ping => Ok(Incoming::Ping(payload)),
        Control::Pong => Ok(Incoming::Pong(payload)),
        Control::Close => read_close(payload).map(Incoming::Close),
        Control::Reserved(_) => Err(protocol_error("unknown opcode")),
    }
}

fn read_close(payload: &[u8]) -> Result<Option<CloseFrame<'_>>, Failure> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(protocol_error("invalid close payload")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !may_be_received(code) {
        return Err(protocol_error("invalid close code"));
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| NOT_UTF8)?;
    Ok(Some(CloseFrame { code, reason }))
}

/// Codes that may appear in a Close frame: those of the IANA registry, of libraries and of applications.
fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests;
