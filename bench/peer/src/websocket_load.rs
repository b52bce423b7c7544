//! Clients of an echo server, a thread each: every one keeps a number of messages under way until all are back.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::Failure;
use crate::websocket::encode;

const MASKED: u8 = 0x80;
const BINARY: u8 = 2;

/// Opens `connections`, of which each sends `count` messages of `size` bytes, `depth` of them under way at once.
pub(crate) fn run(port: u16, connections: usize, depth: usize, size: usize, count: usize) -> Result<(), Failure> {
    let clients: Vec<_> = (0..connections)
        .map(|_| std::thread::spawn(move || client(port, depth, size, count)))
        .collect();
    for client in clients {
        client.join().map_err(|_| "a client panicked")??;
    }
    Ok(())
}

fn client(port: u16, depth: usize, size: usize, count: usize) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err("the server did not open".into());
    }
    let plain = encode(BINARY, &vec![b'w'; size]);
    let masked = mask(&plain, size);
    let burst = masked.repeat(depth);
    let (mut sent, mut echoed, mut bytes) = (0, 0, 0);
    let mut buffer = vec![0; 256 * 1024];
    while echoed < count {
        let now = (depth - (sent - echoed)).min(count - sent);
        stream.write_all(&burst[..now * masked.len()])?;
        sent += now;
        match stream.read(&mut buffer)? {
            0 => return Err("the server has ended the connection".into()),
            read => bytes += read,
        }
        echoed = bytes / plain.len();
    }
    Ok(())
}

/// The frame with a mask, which for the measured end costs what any mask costs.
fn mask(plain: &[u8], size: usize) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let (head, payload) = plain.split_at(plain.len() - size);
    let mut frame = head.to_vec();
    frame[1] |= MASKED;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
