//! The client's way to an open connection: names, addresses, TCP, TLS, opening handshake
//! ([RFC 6455 section 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)).

use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsConnector, client};

use super::cause::{Cause, Phase};
use super::handshake::{ClientRequest, Established, Response, ResponseReader};
use super::proxy::Proxy;
use super::tcp::{self, Resolver};
use super::transport::{ByteStream, Transport};
use super::turn::{HandshakeTurn, SuccessesAhead, TransportTurn, Waiting};
use crate::hub::Wake;
use crate::runtime;

/// Whether connections to the same address are made one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnTaking {
    /// As RFC 6455 says.
    OneByOne,
    AtOnce,
}

/// Where to, and what to ask for.
pub(crate) struct Destination {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) route: Route,
    /// Of the host's name, or of the proxy's.
    pub(crate) resolver: Resolver,
    /// Where to connect from.
    pub(crate) local_address: Option<IpAddr>,
    /// For wss.
    pub(crate) tls: Option<Tls>,
    pub(crate) request: ClientRequest,
    pub(crate) turn: TurnTaking,
    pub(crate) audience: Audience,
}

/// Who hears what the server answers, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The script: the whole answer where it does not open the connection, its head where it does.
    Script,
    Nobody,
}

/// A TLS client's configuration, and the name to check if the host can have a certificate.
pub(crate) type Tls = (Arc<rustls::ClientConfig>, Option<ServerName<'static>>);

/// The way to the server.
pub(crate) enum Route {
    /// A TCP connection.
    Direct,
    /// A TCP connection to a proxy, which makes another one.
    Proxy(Proxy),
    /// A connection to a socket of the file system.
    Socket(PathBuf),
}

/// An open connection.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    /// The head of the server's answer for whoever hears it, otherwise empty.
    pub(crate) head: Vec<u8>,
    /// What came behind it.
    pub(crate) rest: Vec<u8>,
    /// What was agreed.
    pub(crate) established: Established,
    /// When the script is to hear of it.
    pub(crate) wake: Wake,
}

/// There is no connection.
pub(crate) struct NotOpened {
    pub(crate) cause: Cause,
    /// The server has answered something else, for whoever hears it: what came of that, and where more will come from.
    pub(crate) answer: Option<(Transport, Vec<u8>)>,
}

impl From<Cause> for NotOpened {
    fn from(cause: Cause) -> Self {
        Self { cause, answer: None }
    }
}

/// Establishes a WebSocket connection. `time` is for all steps, the wait for others among them, which begins it anew
/// whenever one of them succeeds. Cancel safe: nothing stays.
pub(crate) async fn establish_connection(destination: Destination, time: Duration) -> Result<Opened, NotOpened> {
    let mut deadline = Deadline::after(time);
    // Made before the turn comes: the line moves by what each one does in its turn.
    let request = destination.request.to_bytes();
    let (mut transport, turn) = obtain_connection(
        destination.route,
        (destination.host, destination.port),
        (destination.resolver, destination.local_address),
        destination.tls,
        destination.turn,
        &mut deadline,
    )
    .await?;
    let turn = match turn {
        Some(turn) => Some(deadline.within(Phase::Handshake, always(turn.handshake())).await?),
        None => None,
    };
    let shaken = shake_hands(&mut transport, &request);
    let (response, end, mut head) = deadline.within(Phase::Handshake, shaken).await?;
    let established = match destination.request.check(&response) {
        Ok(established) => established,
        Err(fault) => {
            let is_heard = destination.audience == Audience::Script && response.status != 101;
            return Err(NotOpened {
                cause: fault.into(),
                answer: is_heard.then_some((transport, head)),
            });
        }
    };
    let wake = turn.map_or(Wake::Now, HandshakeTurn::succeed);
    if wake == Wake::Soon {
        // The next one's request leaves before this connection goes on.
        tokio::task::yield_now().await;
    }
    let rest = head.split_off(end);
    if destination.audience == Audience::Nobody {
        head = Vec::new();
    }
    Ok(Opened {
        transport,
        head,
        rest,
        established,
        wake,
    })
}

/// A byte stream to the server, over TLS if that is asked for, and the turn to shake hands over it. The address behind a
/// proxy or a socket is not known, so there nobody waits.
async fn obtain_connection(
    route: Route,
    (host, port): (String, u16),
    (resolver, local_address): (Resolver, Option<IpAddr>),
    tls: Option<Tls>,
    turn: TurnTaking,
    deadline: &mut Deadline,
) -> Result<(Transport, Option<TransportTurn>), Cause> {
    let transport = match route {
        Route::Socket(path) => {
            let stream = deadline.within(Phase::Connect, connect_to_socket(&path)).await?;
            over_any(stream, tls, deadline).await
        }
        Route::Direct => {
            let (stream, turn) = dial((&host, port), (resolver, local_address), turn, deadline).await?;
            return Ok((over_tcp(stream, tls, deadline).await?, turn));
        }
        Route::Proxy(proxy) => {
            let at = (proxy.host.as_str(), proxy.port);
            let (stream, _) = dial(at, (resolver, local_address), TurnTaking::AtOnce, deadline).await?;
            match proxy.tls {
                Some(secure) => {
                    let stream = encrypt(stream, secure, deadline).await?;
                    let opening = proxy.protocol.open(stream, &host, port);
                    let stream = deadline.within(Phase::Proxy, opening).await?;
                    over_any(stream, tls, deadline).await
                }
                None => {
                    let opening = proxy.protocol.open(stream, &host, port);
                    let stream = deadline.within(Phase::Proxy, opening).await?;
                    over_tcp(stream, tls, deadline).await
                }
            }
        }
    };
    Ok((transport?, None))
}

/// A TCP connection, made when it is its turn.
async fn dial(
    (host, port): (&str, u16),
    (resolver, local_address): (Resolver, Option<IpAddr>),
    turn: TurnTaking,
    deadline: &mut Deadline,
) -> Result<(TcpStream, Option<TransportTurn>), Cause> {
    let addresses = tcp::addresses(host, port, resolver);
    let addresses = deadline.within(Phase::Dns, addresses).await?;
    let addresses = tcp::in_order(addresses, local_address)?;
    let turn = match (turn, addresses.first()) {
        (TurnTaking::OneByOne, Some(address)) => {
            let waiting = Waiting::at(*address);
            deadline.successes_ahead = Some(waiting.successes_ahead());
            Some(deadline.within(Phase::Connect, always(waiting.transport())).await?)
        }
        (TurnTaking::OneByOne | TurnTaking::AtOnce, _) => None,
    };
    let stream = tcp::connect(addresses, local_address);
    Ok((deadline.within(Phase::Connect, stream).await?, turn))
}

#[cfg(unix)]
async fn connect_to_socket(path: &Path) -> Result<tokio::net::UnixStream, Cause> {
    let stream = tokio::net::UnixStream::connect(path).await;
    stream.map_err(|error| Cause::system(Phase::Connect, "connect", &error))
}

/// This system has none, or none that tokio knows.
#[cfg(not(unix))]
async fn connect_to_socket(_: &Path) -> Result<TcpStream, Cause> {
    let error = std::io::ErrorKind::Unsupported.into();
    Err(Cause::system(Phase::Connect, "connect", &error))
}

async fn over_tcp(stream: TcpStream, tls: Option<Tls>, deadline: &Deadline) -> Result<Transport, Cause> {
    match tls {
        Some(_) => over_any(stream, tls, deadline).await,
        None => Ok(Transport::tcp(stream)),
    }
}

async fn over_any(
    stream: impl ByteStream + 'static,
    tls: Option<Tls>,
    deadline: &Deadline,
) -> Result<Transport, Cause> {
    match tls {
        Some(tls) => Ok(Transport::other(encrypt(stream, tls, deadline).await?)),
        None => Ok(Transport::other(stream)),
    }
}

async fn encrypt<S: ByteStream>(
    stream: S,
    (config, name): Tls,
    deadline: &Deadline,
) -> Result<client::TlsStream<S>, Cause> {
    let name = name.ok_or_else(Cause::nameless)?;
    let handshake = async {
        let stream = TlsConnector::from(config).connect(name, stream).await;
        stream.map_err(|error| Cause::tls(&error))
    };
    deadline.within(Phase::Tls, handshake).await
}

/// Sends the request and reads the answer: its head, where that ends, and all that came.
async fn shake_hands(transport: &mut Transport, request: &[u8]) -> Result<(Response, usize, Vec<u8>), Cause> {
    let written = transport.write_all(request).await;
    written.map_err(|error| Cause::system(Phase::Handshake, "write", &error))?;
    transport.acknowledge_at_once();
    let mut reader = ResponseReader::default();
    let mut buffer = Vec::new();
    loop {
        match transport.read_some(&mut buffer).await {
            Ok(0) => return Err(Cause::read(Phase::Handshake, None)),
            Ok(_) => {}
            Err(error) => return Err(Cause::read(Phase::Handshake, Some(&error))),
        }
        if let Some((response, end)) = reader.read(&buffer)? {
            return Ok((response, end, buffer));
        }
    }
}

/// When all steps together must be done.
struct Deadline {
    time: Duration,
    begun: Instant,
    /// Each of them begins the time anew.
    successes_ahead: Option<SuccessesAhead>,
}

impl Deadline {
    fn after(time: Duration) -> Self {
        runtime::beat();
        Self {
            time,
            begun: Instant::now(),
            successes_ahead: None,
        }
    }

    fn at(&self) -> Instant {
        let success = self.successes_ahead.as_ref().and_then(SuccessesAhead::last);
        success.map_or(self.begun, |success| success.max(self.begun)) + self.time
    }

    /// A step, as far as there is time for it.
    async fn within<T>(&self, phase: Phase, step: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        let mut step = pin!(step);
        loop {
            let at = self.at();
            // It may have passed while others had their turn: then nothing new begins.
            if at <= Instant::now() {
                return Err(Cause::timed_out(phase));
            }
            match timeout_at(at, &mut step).await {
                Ok(done) => return done,
                Err(_) if self.at() > at => {}
                Err(_) => return Err(Cause::timed_out(phase)),
            }
        }
    }
}

/// A step that can't fail.
async fn always<T>(step: impl Future<Output = T>) -> Result<T, Cause> {
    Ok(step.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_anew_with_each_success_ahead() {
        let address = ([192, 0, 2, 9], 1).into();
        let first = Waiting::at(address).transport().await.handshake().await;
        let begun = Instant::now();
        let mut deadline = Deadline::after(Duration::from_secs(30));
        let waiting = Waiting::at(address);
        deadline.successes_ahead = Some(waiting.successes_ahead());
        let step = std::future::pending::<Result<(), Cause>>();
        let late = tokio::join!(deadline.within(Phase::Connect, step), async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            first.succeed();
        });
        assert_eq!(late.0, Err(Cause::timed_out(Phase::Connect)));
        assert_eq!(begun.elapsed().as_secs(), 50);
    }
}
