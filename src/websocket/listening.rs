//! A listener's task: the listening socket, its clients, and those that Node's http server has heard.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::accept::{Adopted, Announce, Client, Reception, adopt, receive};
use super::cause::{Cause, Phase};
use super::handshake::ServerRequest;
use super::listener::WebSocketListenerEvent;
use crate::error::{Error, unknown_host};
use crate::hub::{Payload, Port};
use crate::server_tls::TlsPeer;

/// After an error of `accept`, which is the machine's and not a client's (no more file descriptors): a pause, not a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted, as far as the system lets so many: where a burst of clients is longer, those behind
/// come again after a second.
const BACKLOG: u32 = 1024;

/// Where to listen.
pub(crate) enum Place {
    /// All addresses when there is no host; 0 for a free port.
    Port { host: Option<String>, port: u16 },
    /// A unix-domain socket.
    Path(String),
    /// Nowhere: all clients are adopted.
    Nowhere,
}

/// A client that Node's http server has heard, counted among the pending handshakes.
pub(crate) type Adoption = (Adopted, OwnedSemaphorePermit);

/// Where clients come from, beside the listening socket.
pub(crate) struct Arrivals {
    /// Bounds the handshakes under way.
    pub(crate) pending: Arc<Semaphore>,
    pub(crate) adopted: mpsc::UnboundedReceiver<Adoption>,
}

enum Socket {
    Tcp(TcpListener),
    /// Its path is removed at the end.
    #[cfg(unix)]
    Unix(UnixListener, String),
}

impl Socket {
    async fn bind(place: Place) -> io::Result<Option<Self>> {
        match place {
            Place::Nowhere => Ok(None),
            Place::Port { host: Some(host), port } => {
                let mut addresses = lookup_host((host, port)).await.map_err(unknown_host)?;
                let first = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
                let others = |error| addresses.find_map(|other| listen_at(other).ok()).ok_or(error);
                Ok(Some(Self::Tcp(listen_at(first).or_else(others)?)))
            }
            Place::Port { host: None, port } => match listen_at((Ipv6Addr::UNSPECIFIED, port).into()) {
                Ok(listener) => Ok(Some(Self::Tcp(listener))),
                // Without IPv6.
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    Ok(Some(Self::Tcp(listen_at((Ipv4Addr::UNSPECIFIED, port).into())?)))
                }
                Err(error) => Err(error),
            },
            #[cfg(unix)]
            Place::Path(path) => Ok(Some(Self::Unix(UnixListener::bind(&path)?, path))),
            #[cfg(not(unix))]
            Place::Path(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// For the event: port, family (0 for a path) and address.
    fn address(&self) -> io::Result<(u32, u32, String)> {
        match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr()?;
                let family = if address.is_ipv4() { 4 } else { 6 };
                Ok((address.port().into(), family, address.ip().to_string()))
            }
            #[cfg(unix)]
            Self::Unix(_, path) => Ok((0, 0, path.clone())),
        }
    }

    /// Cancel safe.
    async fn accept(&self) -> io::Result<(Client, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Client::Tcp(stream), Some(address)))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok((Client::Unix(listener.accept().await?.0), None)),
        }
    }
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts anew must not wait for the connections of the last one. On Windows it would mean another thing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Drop for Socket {
    fn drop(&mut self) {
        match self {
            Self::Tcp(_) => {}
            #[cfg(unix)]
            Self::Unix(_, path) => {
                // Somebody else may have removed it.
                let _gone = std::fs::remove_file(path);
            }
        }
    }
}

/// Serves a listener to its end.
pub(crate) async fn listen(place: Place, arrivals: Arrivals, reception: Arc<Reception>, port: Arc<Port>) {
    let bound = Socket::bind(place).await.and_then(|socket| {
        let address = socket.as_ref().map(Socket::address).transpose()?;
        Ok((socket, address))
    });
    match bound {
        Ok((socket, address)) => {
            if let Some((number, family, address)) = address {
                let payload = Payload::Text(&address);
                port.emit(WebSocketListenerEvent::Listening, number, family, payload);
            }
            receive_all(socket, arrivals, reception, &port).await;
        }
        Err(error) => {
            emit_cause(
                &port,
                WebSocketListenerEvent::Failed,
                0,
                &Cause::system(Phase::Listen, "listen", &error),
            );
            let message = Error::system(&error).message;
            port.emit_terminal(WebSocketListenerEvent::Closed, 0, 0, Payload::Text(&message));
        }
    }
    // On the way out the terminal event is emitted without an error.
}

async fn receive_all(socket: Option<Socket>, mut arrivals: Arrivals, reception: Arc<Reception>, port: &Arc<Port>) {
    let mut handshakes = JoinSet::new();
    loop {
        let next = async {
            let Some(socket) = &socket else {
                return std::future::pending().await;
            };
            let permit = arrivals
                .pending
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            port.room().await;
            (permit, socket.accept().await)
        };
        tokio::select! {
            (permit, accepted) = next => match accepted {
                Ok((client, address)) => {
                    let herald = Herald { port: port.clone(), client: address };
                    handshakes.spawn(receive(client, reception.clone(), herald, permit));
                }
                Err(error) => {
                    let cause = Cause::system(Phase::Listen, "accept", &error);
                    emit_cause(port, WebSocketListenerEvent::Failed, 0, &cause);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some((adopted, permit)) = arrivals.adopted.recv() => {
                let herald = Herald { port: port.clone(), client: None };
                handshakes.spawn(adopt(adopted, reception.clone(), herald, permit));
            }
            Some(_) = handshakes.join_next() => {}
            () = reception.closing.cancelled() => break,
        }
    }
    drop(socket);
    while handshakes.join_next().await.is_some() {}
}

/// `a` of the event is a request's number, or 0.
fn emit_cause(port: &Arc<Port>, event: WebSocketListenerEvent, number: u32, cause: &Cause) {
    port.emit(event, number, cause.number.into(), Payload::Text(&cause.to_text()));
}

struct Herald {
    port: Arc<Port>,
    client: Option<SocketAddr>,
}

impl Announce for Herald {
    fn request(&self, number: u32, request: &ServerRequest, peer: Option<&TlsPeer>) {
        let (address, family, port) = match self.client {
            Some(client) => {
                let ip = client.ip().to_canonical();
                let family = if ip.is_ipv4() { "4" } else { "6" };
                (ip.to_string(), family, client.port().to_string())
            }
            None => (String::new(), "", String::new()),
        };
        let mut fields = vec![request.target.clone(), address, family.to_owned(), port];
        if let Some(peer) = peer {
            fields.extend(peer.fields());
        }
        fields.push(request.protocols.len().to_string());
        fields.extend(request.protocols.iter().cloned());
        for (name, value) in &request.headers {
            fields.extend([name.clone(), value.clone()]);
        }
        let payload = fields.join("\0");
        self.port.emit(
            WebSocketListenerEvent::Request,
            number,
            peer.is_some().into(),
            Payload::Text(&payload),
        );
    }

    fn gone(&self, number: u32, cause: &Cause) {
        emit_cause(&self.port, WebSocketListenerEvent::RequestGone, number, cause);
    }

    fn refused(&self, cause: Cause) {
        let cause = match self.client {
            Some(client) => cause.at(client),
            None => cause,
        };
        emit_cause(&self.port, WebSocketListenerEvent::Refused, 0, &cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other systems let fewer wait.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_burst_of_clients_waits_to_be_accepted() {
        const BURST: usize = 400;
        let listener = listen_at((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        let at = listener.local_addr().expect("it is bound");
        let mut clients = Vec::new();
        for _ in 0..BURST {
            // One that does not fit in comes again and again, in vain.
            let one = std::net::TcpStream::connect_timeout(&at, Duration::from_secs(60));
            clients.push(one.expect("there is room for it"));
        }
        for _ in 0..BURST {
            listener.accept().await.expect("it waits");
        }
    }
}
