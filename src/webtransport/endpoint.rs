//! The UDP sockets under QUIC: one for each server, and those that all clients share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use quinn::{Endpoint, EndpointConfig, ServerConfig};

/// The endpoint that all clients of the process share, one for each IP version; its socket is closed with the last
/// session. Must be called on the runtime.
pub(crate) fn for_clients(remote: SocketAddr) -> std::io::Result<Arc<Endpoint>> {
    static V4: Mutex<Weak<Endpoint>> = Mutex::new(Weak::new());
    static V6: Mutex<Weak<Endpoint>> = Mutex::new(Weak::new());
    let (shared, any): (_, IpAddr) = match remote {
        SocketAddr::V4(_) => (&V4, Ipv4Addr::UNSPECIFIED.into()),
        SocketAddr::V6(_) => (&V6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(endpoint) = shared.upgrade() {
        return Ok(endpoint);
    }
    let endpoint = Arc::new(Endpoint::client(SocketAddr::new(any, 0))?);
    *shared = Arc::downgrade(&endpoint);
    Ok(endpoint)
}

/// A server's endpoint, at the first address of the host that can be had.
pub(crate) async fn listen(host: &str, port: u16, config: ServerConfig) -> std::io::Result<Endpoint> {
    let mut failed = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    let host = if host == "::" && UdpSocket::bind(("::", 0)).is_err() {
        "0.0.0.0"
    } else {
        host
    };
    for address in tokio::net::lookup_host((host, port)).await? {
        match socket(address) {
            Ok(socket) => {
                let runtime = quinn::default_runtime().expect("this runs on tokio");
                return Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn socket(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        // Both IP versions, as Node's servers do.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
