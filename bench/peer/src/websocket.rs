//! A WebSocket server on blocking sockets and frames written by hand (RFC 6455, <https://www.rfc-editor.org/rfc/rfc6455>).
//!
//! The path says what a connection does: `/flood/text/64/1000` answers each message with 1000 text messages of 64 bytes,
//! encoded beforehand; `/json/1024/1000` with 1000 compressed JSON texts of 1024 bytes; `/sink/1000` counts and answers each 1000th message with one; `/echo` sends each message back.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use flate2::{Compress, Compression, FlushCompress};
use tungstenite::handshake::derive_accept_key;

use crate::Failure;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const BUFFER: usize = 1 << 20;
/// What a connection begins with; it grows up to `BUFFER`.
const FIRST_BUFFER: usize = 16 * 1024;
/// Small, so that a thread does not cost a huge page.
const STACK: usize = 128 * 1024;

enum Behaviour {
    Flood { opcode: u8, size: usize, count: usize },
    Json { size: usize, count: usize },
    Sink { count: usize },
    Echo,
}

/// Listens, prints the port, and serves each connection on a thread of its own.
pub(crate) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{{\"port\":{}}}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::Builder::new().stack_size(STACK).spawn(move || {
            if let Err(error) = connection(stream) {
                eprintln!("bench-peer: {error}");
            }
        })?;
    }
    Ok(())
}

fn connection(stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut frames = Frames {
        stream,
        buffer: vec![0; FIRST_BUFFER],
        start: 0,
        end: 0,
    };
    let behaviour = frames.handshake()?;
    let mut received = 0;
    let mut reply = Vec::new();
    while let Some(frame) = frames.next()? {
        match frame.opcode {
            CLOSE => {
                frames.payload(&frame, &mut reply);
                frames.stream.write_all(&encode(CLOSE, &reply))?;
                return Ok(());
            }
            PING => {
                frames.payload(&frame, &mut reply);
                frames.stream.write_all(&encode(PONG, &reply))?;
            }
            PONG => {}
            _ if !frame.last => {}
            opcode => match &behaviour {
                Behaviour::Flood { opcode, size, count } => {
                    let frame = encode(*opcode, &vec![b'w'; *size]);
                    let at_once = (BUFFER / frame.len()).clamp(1, (*count).max(1));
                    flood(&mut frames.stream, &vec![frame; at_once], *count)?;
                }
                Behaviour::Json { size, count } => flood(&mut frames.stream, &compressed_json(*size)?, *count)?,
                Behaviour::Sink { count } => {
                    received += 1;
                    if received == *count {
                        received = 0;
                        frames.stream.write_all(&encode(TEXT, b"done"))?;
                    }
                }
                Behaviour::Echo => {
                    frames.payload(&frame, &mut reply);
                    frames.stream.write_all(&encode(opcode, &reply))?;
                }
            },
        }
    }
    Ok(())
}

/// Sends the frames, again and again, until there were `count`.
fn flood(stream: &mut TcpStream, frames: &[Vec<u8>], count: usize) -> io::Result<()> {
    let block = frames.concat();
    let mut left = count;
    while left >= frames.len() {
        stream.write_all(&block)?;
        left -= frames.len();
    }
    stream.write_all(&frames[..left].concat())
}

/// A thousand different JSON texts in frames with permessage-deflate: each refers to those before it, but the first to
/// none, so that they can be sent again and again.
fn compressed_json(size: usize) -> Result<Vec<Vec<u8>>, Failure> {
    let mut compressor = Compress::new(Compression::default(), false);
    let mut frames = Vec::new();
    for number in 0..1000_usize {
        let mut text = format!("{{\"id\":{number},\"items\":[");
        for item in 0.. {
            let next = format!(
                "{{\"key\":\"k{}\",\"value\":{}}},",
                item * number,
                (item + 7) * 7919 * (number + 3) % 10_007
            );
            if text.len() + next.len() + 12 > size {
                break;
            }
            text.push_str(&next);
        }
        text.push_str("0],\"end\":\"");
        let padding = size.saturating_sub(text.len() + 2);
        text.push_str(&"x".repeat(padding));
        text.push_str("\"}");
        let mut payload = Vec::with_capacity(2 * size + 64);
        compressor.compress_vec(text.as_bytes(), &mut payload, FlushCompress::Sync)?;
        payload.truncate(payload.len() - 4);
        let mut frame = encode(TEXT, &payload);
        frame[0] |= RSV1;
        frames.push(frame);
    }
    Ok(frames)
}

/// A whole frame without a mask.
pub(crate) fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FIN | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

struct Frame {
    opcode: u8,
    last: bool,
    mask: [u8; 4],
    /// Where the payload, still masked, lies in the buffer.
    payload: std::ops::Range<usize>,
}

struct Frames {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    fn handshake(&mut self) -> Result<Behaviour, Failure> {
        let length = loop {
            if let Some(at) = self.buffer[..self.end]
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break at + 4;
            }
            if !self.fill()? {
                return Err("the connection ended in its handshake".into());
            }
        };
        let request = std::str::from_utf8(&self.buffer[..length])?;
        let path = request.split(' ').nth(1).ok_or("a path")?;
        let key = request
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
            .map(|(_, value)| value.trim())
            .ok_or("a Sec-WebSocket-Key")?;
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let behaviour = match parts.as_slice() {
            ["flood", kind, size, count] => Behaviour::Flood {
                opcode: if *kind == "text" { TEXT } else { BINARY },
                size: size.parse()?,
                count: count.parse()?,
            },
            ["json", size, count] => Behaviour::Json {
                size: size.parse()?,
                count: count.parse()?,
            },
            ["sink", count] => Behaviour::Sink { count: count.parse()? },
            ["echo"] => Behaviour::Echo,
            _ => return Err(format!("no such path: {path}").into()),
        };
        let extensions = match behaviour {
            Behaviour::Json { .. } => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            _ => "",
        };
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{extensions}\r\n",
            derive_accept_key(key.as_bytes())
        );
        self.stream.write_all(response.as_bytes())?;
        self.start = length;
        Ok(behaviour)
    }

    /// The next whole frame, or nothing at the end of the stream.
    fn next(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(frame) = self.parse()? {
                self.start = frame.payload.end;
                return Ok(Some(frame));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn parse(&self) -> Result<Option<Frame>, Failure> {
        let bytes = &self.buffer[self.start..self.end];
        let [first, second, ..] = *bytes else { return Ok(None) };
        if second & 0x80 == 0 {
            return Err("a client's frame without a mask".into());
        }
        let (length, header) = match second & 0x7f {
            126 => match bytes.get(2..4).and_then(|bytes| bytes.try_into().ok()) {
                Some(length) => (u16::from_be_bytes(length) as usize, 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                Some(length) => (usize::try_from(u64::from_be_bytes(length))?, 10),
                None => return Ok(None),
            },
            length => (length as usize, 2),
        };
        if length > BUFFER - 14 {
            return Err("a frame larger than the buffer".into());
        }
        let Some(mask) = bytes.get(header..header + 4).and_then(|bytes| bytes.try_into().ok()) else {
            return Ok(None);
        };
        if bytes.len() < header + 4 + length {
            return Ok(None);
        }
        let payload = self.start + header + 4;
        Ok(Some(Frame {
            opcode: first & 0x0f,
            last: first & FIN != 0,
            mask,
            payload: payload..payload + length,
        }))
    }

    fn payload(&self, frame: &Frame, into: &mut Vec<u8>) {
        into.clear();
        let masked = &self.buffer[frame.payload.clone()];
        into.extend(
            masked
                .iter()
                .enumerate()
                .map(|(index, byte)| byte ^ frame.mask[index % 4]),
        );
    }

    /// Reads once; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            // Whoever fills it once sends much.
            self.buffer.resize(BUFFER, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += read;
        Ok(read > 0)
    }
}
