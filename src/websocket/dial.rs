//! The client's way to an open connection: names, addresses, TCP, TLS, opening handshake
//! ([RFC 6455 section 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::handshake::{ClientRequest, parse_response};
use super::transport::Transport;

/// How long an address may take before the next one is tried beside it
/// ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305#section-5)).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Where to, and what to ask for.
pub(crate) struct Destination {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For wss: the configuration, and the name to check if the host can have a certificate.
    pub(crate) tls: Option<(Arc<rustls::ClientConfig>, Option<ServerName<'static>>)>,
    pub(crate) request: ClientRequest,
}

/// An open connection.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    /// What came behind the server's answer.
    pub(crate) rest: Vec<u8>,
    /// The subprotocol, or ''.
    pub(crate) protocol: String,
}

/// Establishes a WebSocket connection. `None`: it failed, in a way that a script must not learn
/// ([WHATWG](https://websockets.spec.whatwg.org/#feedback-from-the-protocol)). Cancel safe: nothing stays.
pub(crate) async fn establish_connection(destination: Destination) -> Option<Opened> {
    let stream = connect(&destination.host, destination.port).await.ok()?;
    // A socket that cannot be told to send at once still sends.
    let _harmless = stream.set_nodelay(true);
    let mut transport = match destination.tls {
        Some((config, name)) => {
            let stream = TlsConnector::from(config).connect(name?, stream).await.ok()?;
            Transport::other(stream)
        }
        None => Transport::tcp(stream),
    };
    transport.write_all(&destination.request.to_bytes()).await.ok()?;
    let mut buffer = Vec::new();
    loop {
        if transport.read_some(&mut buffer).await.ok()? == 0 {
            return None;
        }
        if let Some((response, end)) = parse_response(&buffer).ok()? {
            let protocol = destination.request.check(&response).ok()?;
            let rest = buffer.split_off(end);
            return Some(Opened {
                transport,
                rest,
                protocol,
            });
        }
    }
}

/// Connects to the first address of the host that answers, trying both families in turn.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut waiting = interleave(addresses(host, port).await?).into_iter();
    if let (Some(only), 0) = (waiting.as_slice().first(), waiting.len().saturating_sub(1)) {
        return TcpStream::connect(*only).await;
    }
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        match waiting.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
            }
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(error) => last = io::Error::other(error),
            },
            () = sleep(NEXT_ADDRESS), if waiting.len() > 0 => {}
        }
    }
}

/// The host's addresses. Names below `localhost` are this machine, whatever a resolver says
/// ([RFC 6761](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.strip_suffix('.').unwrap_or(host).ends_with(".localhost") {
        return Ok(vec![
            (Ipv6Addr::LOCALHOST, port).into(),
            (Ipv4Addr::LOCALHOST, port).into(),
        ]);
    }
    Ok(lookup_host((host, port)).await?.collect())
}

/// The addresses in the resolver's order, families in turn.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (mut preferred, mut others): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .rev()
        .partition(|address| address.is_ipv6() == first);
    let mut ordered = Vec::new();
    while !preferred.is_empty() || !others.is_empty() {
        ordered.extend(preferred.pop());
        ordered.extend(others.pop());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        let mixed = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let expected = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleave(mixed), expected);
        assert!(interleave(Vec::new()).is_empty());
    }
}
