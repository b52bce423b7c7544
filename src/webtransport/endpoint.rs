//! The UDP sockets under QUIC: one for each server, and those that all clients share.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, ServerConfig};
use tokio::net::lookup_host;

use super::direct::EndpointRuntime;
use super::limits::CLOSE_TIMEOUT;
use crate::error::unknown_host;

/// The endpoint that all clients of the process share, one for each IP version, and for each address that they come from where
/// they name one; its socket is closed with the last session. Must be called on the runtime.
pub(crate) fn for_clients(remote: SocketAddr, local: Option<IpAddr>) -> std::io::Result<Arc<Endpoint>> {
    static SHARED: Mutex<BTreeMap<IpAddr, Weak<Endpoint>>> = Mutex::new(BTreeMap::new());
    let local = local.unwrap_or(match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    });
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(endpoint) = shared.get(&local).and_then(Weak::upgrade) {
        return Ok(endpoint);
    }
    shared.retain(|_, endpoint| endpoint.strong_count() > 0);
    let socket = socket(SocketAddr::new(local, 0))?;
    let settings = EndpointConfig::default();
    let endpoint = Arc::new(Endpoint::new(
        settings,
        None,
        socket,
        Arc::new(EndpointRuntime::default()),
    )?);
    shared.insert(local, Arc::downgrade(&endpoint));
    Ok(endpoint)
}

/// A server's endpoint.
pub(crate) struct Listening {
    pub(crate) endpoint: Endpoint,
    /// Gone when the system has the port back.
    socket: Weak<dyn AsyncUdpSocket>,
}

impl Listening {
    /// Waits, but not for ever, until the peers know of the end of their connections and the port is free again. A
    /// connection that never got beyond its first packet may take longer than anybody wants to wait.
    pub(crate) async fn close(self) {
        let Self { endpoint, socket } = self;
        let _late = tokio::time::timeout(CLOSE_TIMEOUT, async {
            endpoint.wait_idle().await;
            drop(endpoint);
            while socket.strong_count() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
    }
}

/// What a socket may hold each way while the network's thread is held up: some ten milliseconds at full speed, where the 200 KiB that
/// Linux gives by itself hold less than one. What comes beyond it is lost.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// How often a socket is looked at that is being closed: quinn does not tell.
const LOOK: Duration = Duration::from_millis(1);

/// Listens at the first address of the host that can be had.
pub(crate) async fn listen(host: &str, port: u16, config: ServerConfig) -> std::io::Result<Listening> {
    let mut failed = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    let host = if host == "::" && UdpSocket::bind(("::", 0)).is_err() {
        "0.0.0.0"
    } else {
        host
    };
    for address in lookup_host((host, port)).await.map_err(unknown_host)? {
        match socket(address) {
            Ok(socket) => {
                let runtime = Arc::new(EndpointRuntime::default());
                let socket = runtime.wrap_udp_socket(socket)?;
                let weak = Arc::downgrade(&socket);
                let settings = EndpointConfig::default();
                let endpoint = Endpoint::new_with_abstract_socket(settings, Some(config), socket, runtime)?;
                return Ok(Listening { endpoint, socket: weak });
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
    // A system that gives less still gives something.
    let _as_much_as_may_be = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _as_much_as_may_be = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
