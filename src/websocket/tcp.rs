//! TCP connections by name: addresses, and which of them is first
//! ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cause::{Cause, Phase};

/// How long an address may take before the next one is tried beside it
/// ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305#section-5)).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Who resolves names.
pub(crate) enum Resolver {
    /// The system.
    System,
    /// The script; this brings what it finds.
    Script(oneshot::Receiver<Result<Vec<IpAddr>, Cause>>),
}

/// The addresses in the order in which they are tried: families in turn, and only that of the local address.
pub(crate) fn in_order(mut addresses: Vec<SocketAddr>, local: Option<IpAddr>) -> Result<Vec<SocketAddr>, Cause> {
    if let Some(local) = local {
        addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
        if addresses.is_empty() {
            return Err(Cause::other_family());
        }
    }
    Ok(interleave(addresses))
}

/// Connects to the first of these addresses that answers, from the local address if one is named. Cancel safe: nothing
/// stays.
pub(crate) async fn connect(addresses: Vec<SocketAddr>, local: Option<IpAddr>) -> Result<TcpStream, Cause> {
    let mut waiting = addresses.into_iter();
    if let (Some(only), 0) = (waiting.as_slice().first(), waiting.len().saturating_sub(1)) {
        return connect_to(*only, local).await;
    }
    let mut attempts = JoinSet::new();
    let mut last = Cause::new(Phase::Dns, "ENOTFOUND", "the host has no address");
    loop {
        match waiting.next() {
            Some(address) => {
                attempts.spawn(connect_to(address, local));
            }
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(cause)) => last = cause,
                Err(error) => last = Cause::system(Phase::Connect, "", &io::Error::other(error)),
            },
            () = sleep(NEXT_ADDRESS), if waiting.len() > 0 => {}
        }
    }
}

async fn connect_to(address: SocketAddr, local: Option<IpAddr>) -> Result<TcpStream, Cause> {
    let stream = match local {
        Some(local) => from(local, address)?.connect(address).await,
        None => TcpStream::connect(address).await,
    };
    let stream = stream.map_err(|error| Cause::system(Phase::Connect, "connect", &error).at(address))?;
    // A socket that cannot be told to send at once still sends.
    let _harmless = stream.set_nodelay(true);
    Ok(stream)
}

/// A socket bound to the local address, of its family.
fn from(local: IpAddr, address: SocketAddr) -> Result<TcpSocket, Cause> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.map_err(|error| Cause::system(Phase::Connect, "socket", &error))?;
    let bound = socket.bind(SocketAddr::new(local, 0));
    bound.map_err(|error| Cause::system(Phase::Connect, "bind", &error).at(SocketAddr::new(local, 0)))?;
    Ok(socket)
}

/// The host's addresses. Names below `localhost` are this machine, whatever a resolver says
/// ([RFC 6761](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
pub(crate) async fn addresses(host: &str, port: u16, resolver: Resolver) -> Result<Vec<SocketAddr>, Cause> {
    if let Resolver::Script(found) = resolver {
        // The script's end is dropped together with the connection.
        let found = found.await.unwrap_or_else(|_| Err(Cause::aborted()))?;
        return Ok(found
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect());
    }
    if host.strip_suffix('.').unwrap_or(host).ends_with(".localhost") {
        return Ok(vec![
            (Ipv6Addr::LOCALHOST, port).into(),
            (Ipv4Addr::LOCALHOST, port).into(),
        ]);
    }
    match lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        // The resolver's own codes are not kept by std; nearly all mean this one.
        Err(error) => Err(Cause::unknown_host(&error)),
    }
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
