//! The neutral program at the other end of `npm run bench`: a WebSocket server that is never the limit, and plain QUIC
//! (quinn, no HTTP/3) as the ceiling for WebTransport. It ends when its standard input does.

use std::error::Error;
use std::io::Read;

mod quic_client;
mod quic_server;
mod websocket;
mod websocket_load;

type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: bench-peer websocket | websocket-load PORT CONNECTIONS DEPTH SIZE COUNT | quic-server | quic-client CASE ADDRESS CERTIFICATE COUNT [PACE]";

fn main() -> Result<(), Failure> {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // An error is an end of the input too.
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["websocket"] => websocket::serve(),
        ["websocket-load", port, connections, depth, size, count] => websocket_load::run(
            port.parse()?,
            connections.parse()?,
            depth.parse()?,
            size.parse()?,
            count.parse()?,
        ),
        ["quic-server"] => on_one_thread(quic_server::serve()),
        ["quic-client", case, address, certificate, count, pace @ ..] => on_one_thread(quic_client::run(
            case,
            address.parse()?,
            from_hex(certificate)?,
            count.parse()?,
            pace.first().map(|pace| pace.parse()).transpose()?,
        )),
        _ => Err(USAGE.into()),
    }
}

fn on_one_thread(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    (0..text.len() / 2)
        .map(|index| {
            let digits = text.get(index * 2..index * 2 + 2).ok_or("hexadecimal digits")?;
            Ok(u8::from_str_radix(digits, 16)?)
        })
        .collect()
}
