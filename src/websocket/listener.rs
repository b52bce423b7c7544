//! `WebSocketListener`: the network half of a `WebSocketServer`, whether it listens on a port of its own or is given the
//! requests that Node's http server has heard.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, BufferSlice, Either};
use napi_derive::napi;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::accept::{Accepted, Adopted, Announce, Answer, Reception, Requests, SERVICE_UNAVAILABLE, adopt, receive};
use super::closing::{ABNORMAL, Ended};
use super::connection::{PANICKED, WebSocketConnection, WebSocketEvent, WebSocketLimits, headers};
#[cfg(unix)]
use super::descriptor::duplicate;
use super::duplex_stream::DuplexStream;
use super::frame::Role;
use super::handshake::{ServerRequest, reject};
use super::task::{Driver, Failed, Limits, Link, emit_closed};
use super::transport::Transport;
use crate::error::{Error, Result};
use crate::hub::{Hub, Payload, Port, Terminal};
#[cfg(unix)]
use crate::runtime::runtime;
use crate::tls::server_config;

/// After an error of `accept`, which is the machine's and not a client's (no more file descriptors): a pause, not a spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener tells its `WebSocketServer`.
#[napi]
pub enum WebSocketListenerEvent {
    /// It listens: `a` is the port, `b` 4 or 6, the payload the address.
    Listening,
    /// Request number `a`. The payload's fields are separated by NUL: target, the client's address, 4 or 6, its port,
    /// number of subprotocols, the subprotocols, then names and values of the headers in turn. `b` is 1 under TLS.
    Request,
    /// Request number `a` can't be answered any more.
    RequestGone,
    /// The end. With a payload, the system's error: it could not listen.
    Closed,
}

impl From<WebSocketListenerEvent> for i32 {
    fn from(event: WebSocketListenerEvent) -> Self {
        event as Self
    }
}

/// What to listen on, and limits. All values are checked and converted by `web/websocket/`.
#[napi(object)]
pub struct WebSocketListenerOptions {
    /// Name or address; all addresses when absent.
    pub host: Option<String>,
    /// 0 for a free one. Absent: it doesn't listen, all requests are given to it.
    pub port: Option<u16>,
    /// Certificate chain for wss, PEM.
    pub cert: Option<String>,
    /// Its private key, PEM.
    pub key: Option<String>,
    /// Milliseconds from the TCP connection to the application's answer.
    pub handshake_timeout_ms: u32,
    /// Clients that may be in that time at once; the others wait in the system's queue.
    pub max_pending_handshakes: u32,
    /// Of the connections.
    pub limits: WebSocketLimits,
}

/// A request that Node's http server has heard.
#[napi(object)]
pub struct WebSocketUpgrade {
    /// Of HTTP.
    pub method: String,
    /// As it came.
    pub target: String,
    /// Of HTTP: `1.1`.
    pub version: String,
    /// Name and value in turn.
    pub headers: Vec<String>,
}

/// A listening socket and the requests that wait.
#[napi]
pub struct WebSocketListener {
    reception: Arc<Reception>,
    pending: Arc<Semaphore>,
    /// As many stand in it as have a permit of `pending`.
    adoptions: mpsc::UnboundedSender<Adoption>,
    limits: Limits,
}

type Adoption = (Adopted, OwnedSemaphorePermit);

#[napi]
impl WebSocketListener {
    /// Begins to listen.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: WebSocketListenerOptions) -> Result<Self> {
        let tls = match (&options.cert, &options.key) {
            (None, None) => None,
            (cert, key) => {
                let (cert, key) = (cert.as_deref().unwrap_or_default(), key.as_deref().unwrap_or_default());
                Some(TlsAcceptor::from(Arc::new(server_config(cert, key, &[b"http/1.1"])?)))
            }
        };
        let reception = Arc::new(Reception {
            tls,
            time: Duration::from_millis(options.handshake_timeout_ms.into()),
            requests: Requests::default(),
            closing: CancellationToken::new(),
        });
        let limits = Limits::from(&options.limits);
        let port = hub.port(id);
        let terminal = Terminal {
            event: WebSocketListenerEvent::Closed.into(),
            a: 0,
            b: 0,
        };
        let pending = Arc::new(Semaphore::new(options.max_pending_handshakes as usize));
        let (adoptions, adopted) = mpsc::unbounded_channel();
        let arrivals = Arrivals {
            pending: pending.clone(),
            adopted,
        };
        port.spawn(terminal, listen(options, arrivals, reception.clone(), port.clone()));
        Ok(Self {
            reception,
            pending,
            adoptions,
            limits,
        })
    }

    /// Takes over the socket behind a request: `descriptor` is Node's, `rest` what Node has read behind the request. The
    /// request's number, or the answer that refuses it; then, and when this throws, the socket is Node's as before.
    #[cfg(unix)]
    #[napi(catch_unwind)]
    pub fn take_over(
        &self,
        descriptor: i32,
        upgrade: WebSocketUpgrade,
        rest: BufferSlice<'_>,
    ) -> Result<Either<u32, Buffer>> {
        let make = || {
            let descriptor = duplicate(descriptor)?;
            // Registering it needs the runtime.
            let _context = runtime().enter();
            Transport::of_descriptor(descriptor)
        };
        self.adopt(upgrade, &rest, || make().map_err(|error| Error::system(&error).into()))
    }

    /// The same for a request on a stream that only Node can read and write.
    #[napi(catch_unwind)]
    pub fn carry(
        &self,
        stream: &DuplexStream,
        upgrade: WebSocketUpgrade,
        rest: BufferSlice<'_>,
    ) -> Result<Either<u32, Buffer>> {
        self.adopt(upgrade, &rest, || Ok(Transport::other(stream.transport())))
    }

    /// Answers a request with 101. The connection behind it reports to the object `id`; it fails if the client has gone.
    #[napi(catch_unwind)]
    pub fn accept(
        &self,
        hub: &Hub,
        id: u32,
        request: u32,
        protocol: Option<String>,
        header_lines: Vec<String>,
    ) -> WebSocketConnection {
        let link = Link::new(Role::Server);
        let port = hub.port(id);
        let (to, transport) = oneshot::channel();
        if let Some(waiting) = self.reception.requests.take(request) {
            let response = waiting.request.accept(protocol.as_deref(), &headers(header_lines));
            // If the client has gone in this moment, `transport` says so.
            let _gone = waiting.answer.send(Answer::Accept { response, to });
        }
        let protocol = protocol.unwrap_or_default();
        port.spawn(
            PANICKED,
            serve(transport, protocol, self.limits, link.clone(), port.clone()),
        );
        WebSocketConnection::accepted(link)
    }

    /// Answers a request with another status, and ends its connection.
    #[napi(catch_unwind)]
    pub fn reject(&self, request: u32, status: u16, header_lines: Vec<String>, body: BufferSlice<'_>) {
        if let Some(waiting) = self.reception.requests.take(request) {
            let response = reject(status, &headers(header_lines), &body);
            // If the client has gone, nobody needs an answer.
            let _gone = waiting.answer.send(Answer::Reject { response });
        }
    }

    /// Stops listening. Connections stay.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.reception.closing.cancel();
    }
}

impl WebSocketListener {
    fn adopt(
        &self,
        upgrade: WebSocketUpgrade,
        rest: &[u8],
        transport: impl FnOnce() -> Result<Transport>,
    ) -> Result<Either<u32, Buffer>> {
        let WebSocketUpgrade {
            method,
            target,
            version,
            headers: lines,
        } = upgrade;
        let request = match ServerRequest::check(&method, &target, &version, headers(lines)) {
            Ok(request) => request,
            Err(refusal) => return Ok(Either::B(refusal.to_bytes().into())),
        };
        let Ok(permit) = self.pending.clone().try_acquire_owned() else {
            return Ok(Either::B(reject(SERVICE_UNAVAILABLE, &[], b"").into()));
        };
        let transport = transport()?;
        let (number, answer) = self.reception.requests.add(request);
        let adopted = Adopted {
            transport,
            rest: rest.to_vec(),
            number,
            answer,
        };
        // A listener that has ended drops it, which ends the connection.
        let _ended = self.adoptions.send((adopted, permit));
        Ok(Either::A(number))
    }
}

impl Drop for WebSocketListener {
    fn drop(&mut self) {
        self.reception.closing.cancel();
    }
}

async fn serve(
    transport: oneshot::Receiver<Accepted>,
    protocol: String,
    limits: Limits,
    link: Arc<Link>,
    port: Arc<Port>,
) {
    let accepted = tokio::select! {
        accepted = transport => accepted.ok(),
        () = link.aborted() => None,
    };
    match accepted {
        Some((transport, rest)) => {
            port.emit(WebSocketEvent::Open, 0, 0, Payload::Text(&protocol));
            Driver::new(transport, rest, Role::Server, limits, link, port)
                .run()
                .await;
        }
        None => {
            let ended = Ended {
                was_clean: false,
                code: ABNORMAL,
                reason: String::new(),
            };
            emit_closed(&port, &ended, Failed::Yes);
        }
    }
}

/// Where clients come from, beside the listening socket.
struct Arrivals {
    /// Bounds the handshakes under way.
    pending: Arc<Semaphore>,
    adopted: mpsc::UnboundedReceiver<Adoption>,
}

async fn listen(options: WebSocketListenerOptions, arrivals: Arrivals, reception: Arc<Reception>, port: Arc<Port>) {
    let listener = match options.port {
        Some(number) => match bind(options.host.as_deref(), number).await {
            Ok((listener, address)) => {
                let family = if address.is_ipv4() { 4 } else { 6 };
                let text = address.ip().to_string();
                port.emit(
                    WebSocketListenerEvent::Listening,
                    address.port().into(),
                    family,
                    Payload::Text(&text),
                );
                Some(listener)
            }
            Err(error) => {
                let message = Error::system(&error).message;
                port.emit_terminal(WebSocketListenerEvent::Closed, 0, 0, Payload::Text(&message));
                return;
            }
        },
        None => None,
    };
    receive_all(listener, arrivals, reception, &port).await;
    // On the way out the terminal event is emitted without an error.
}

async fn bind(host: Option<&str>, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = match host {
        Some(host) => TcpListener::bind((host, port)).await?,
        None => match TcpListener::bind(("::", port)).await {
            Ok(listener) => listener,
            // Without IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => TcpListener::bind(("0.0.0.0", port)).await?,
            Err(error) => return Err(error),
        },
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn receive_all(
    listener: Option<TcpListener>,
    mut arrivals: Arrivals,
    reception: Arc<Reception>,
    port: &Arc<Port>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let next = async {
            let Some(listener) = &listener else {
                return std::future::pending().await;
            };
            let permit = arrivals
                .pending
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            port.room().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            (permit, accepted) = next => match accepted {
                Ok((stream, client)) => {
                    let herald = Herald(port.clone());
                    handshakes.spawn(receive(stream, client, reception.clone(), herald, permit));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some((adopted, permit)) = arrivals.adopted.recv() => {
                handshakes.spawn(adopt(adopted, reception.clone(), Herald(port.clone()), permit));
            }
            Some(_) = handshakes.join_next() => {}
            () = reception.closing.cancelled() => break,
        }
    }
    drop(listener);
    while handshakes.join_next().await.is_some() {}
}

struct Herald(Arc<Port>);

impl Announce for Herald {
    fn request(&self, number: u32, request: &ServerRequest, client: SocketAddr, secure: bool) {
        let ip = client.ip().to_canonical();
        let family = if ip.is_ipv4() { "4" } else { "6" };
        let head = [&request.target, &ip.to_string(), family, &client.port().to_string()].join("\0");
        let mut fields = vec![head, request.protocols.len().to_string()];
        fields.extend(request.protocols.iter().cloned());
        for (name, value) in &request.headers {
            fields.extend([name.clone(), value.clone()]);
        }
        let payload = fields.join("\0");
        self.0.emit(
            WebSocketListenerEvent::Request,
            number,
            secure.into(),
            Payload::Text(&payload),
        );
    }

    fn gone(&self, number: u32) {
        self.0
            .emit(WebSocketListenerEvent::RequestGone, number, 0, Payload::None);
    }
}
