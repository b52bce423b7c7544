//! `WebSocketListener`: the network half of a `WebSocketServer`, whether it listens on a port of its own or is given the
//! requests that Node's http server has heard.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, BufferSlice, Either, Uint32ArraySlice};
use napi_derive::napi;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::accept::{Accepted, Adopted, Answer, Reception, Requests, SERVICE_UNAVAILABLE};
use super::broadcast::Links;
use super::cause::Cause;
use super::closing::{ABNORMAL, Ended};
use super::connection::{PANICKED, WebSocketConnection, WebSocketDeflate, WebSocketLimits};
use super::deflate::Deflate;
use super::destination::headers;
use super::duplex_stream::DuplexStream;
use super::frame::Role;
use super::handshake::{ServerRequest, reject};
use super::listening::{Adoption, Arrivals, Place, listen};
use super::message::Kind;
use super::task::{Driver, Failed, Limits, Link, emit_closed, emit_failed};
use super::transport::Transport;
#[cfg(unix)]
use crate::descriptor::duplicate;
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Port, Terminal, Wake};
#[cfg(unix)]
use crate::runtime::runtime;
use crate::server_tls::{ClientCertificates, NamedCertificate, ServerTls};

/// What a listener tells its `WebSocketServer`.
#[napi]
pub enum WebSocketListenerEvent {
    /// It listens: `a` is the port, `b` 4 or 6, the payload the address; or `b` is 0 and the payload a path.
    Listening,
    /// Request number `a`. The payload's fields are separated by NUL: target, the client's address, 4 or 6, its port (all
    /// three empty where it has none); under TLS, when `b` is 1, the name it asked for, the version, 1 if its certificate
    /// can be trusted, and that in hexadecimal digits; then the number of subprotocols, the subprotocols, then names and
    /// values of the headers in turn.
    Request,
    /// Request number `a` can't be answered any more, or its answer not be sent. Why, as in `WebSocketEvent::Failed` with
    /// `b` for its `a`.
    RequestGone,
    /// A client's handshake failed before there was a request, or was refused; why, likewise.
    Refused,
    /// For the operator: it can't listen, or not accept a client; why, likewise.
    Failed,
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
    /// 0 for a free one. Without it and `socket_path` it doesn't listen, all requests are given to it.
    pub port: Option<u16>,
    /// A unix-domain socket to listen on instead.
    pub socket_path: Option<String>,
    /// For wss.
    pub certificates: Option<Vec<NamedCertificate>>,
    /// What clients are asked for, with `certificates`.
    pub client_certificates: Option<ClientCertificates>,
    /// Milliseconds from the TCP connection to the application's answer.
    pub handshake_timeout_ms: u32,
    /// Clients that may be in that time at once; the others wait in the system's queue.
    pub max_pending_handshakes: u32,
    /// Present if permessage-deflate is accepted.
    pub deflate: Option<WebSocketDeflate>,
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
    links: Links,
    deflate: Option<Deflate>,
    limits: Limits,
}

#[napi]
impl WebSocketListener {
    /// Begins to listen.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: WebSocketListenerOptions) -> Result<Self> {
        let tls = match &options.certificates {
            Some(certificates) => {
                let clients = options.client_certificates.as_ref();
                Some(ServerTls::new(certificates, clients, &[b"http/1.1"])?)
            }
            None => None,
        };
        let place = match (options.socket_path, options.port) {
            (Some(path), _) => Place::Path(path),
            (None, Some(port)) => Place::Port {
                host: options.host,
                port,
            },
            (None, None) => Place::Nowhere,
        };
        let reception = Arc::new(Reception {
            tls,
            time: Duration::from_millis(options.handshake_timeout_ms.into()),
            requests: Requests::default(),
            closing: CancellationToken::new(),
        });
        let limits = Limits::from(&options.limits);
        let deflate = options.deflate.as_ref().map(Deflate::from);
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
        port.spawn(terminal, listen(place, arrivals, reception.clone(), port.clone()));
        Ok(Self {
            reception,
            pending,
            adoptions,
            links: Links::default(),
            deflate,
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
        self.links.add(request, &link);
        let port = hub.port(id);
        let (to, transport) = oneshot::channel();
        let mut agreed = Agreed {
            protocol: protocol.unwrap_or_default(),
            extensions: String::new(),
            deflate: None,
        };
        if let Some(waiting) = self.reception.requests.take(request) {
            let mut lines = headers(header_lines);
            if let Some(wanted) = self.deflate
                && let Some((parameters, extensions)) = waiting.request.negotiate(&wanted.parameters)
            {
                lines.push(("Sec-WebSocket-Extensions".to_owned(), extensions.clone()));
                agreed.extensions = extensions;
                agreed.deflate = Some(Deflate { parameters, ..wanted });
            }
            let protocol = Some(agreed.protocol.as_str()).filter(|protocol| !protocol.is_empty());
            let response = waiting.request.accept(protocol, &lines);
            if let Err(Answer::Accept { to, .. }) = waiting.answer.send(Answer::Accept { response, to }) {
                // `transport` waits for it.
                let _waits = to.send(Err(Cause::not_listening()));
            }
        }
        port.spawn(
            PANICKED,
            serve(transport, agreed, self.limits, link.clone(), port.clone()),
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

    /// Sends one binary message to the connections behind these requests. Returns the numbers of those whose socket has not
    /// taken all of it at once.
    #[napi(catch_unwind)]
    pub fn broadcast_binary(&self, requests: Uint32ArraySlice<'_>, data: BufferSlice<'_>) -> Vec<u32> {
        self.links.broadcast(&requests, Kind::Binary, &data)
    }

    /// The same for text, given as UTF-8.
    #[napi(catch_unwind)]
    pub fn broadcast_text(&self, requests: Uint32ArraySlice<'_>, data: BufferSlice<'_>) -> Vec<u32> {
        self.links.broadcast(&requests, Kind::Text, &data)
    }

    /// Replaces all certificates for the handshakes to come.
    #[napi(catch_unwind)]
    pub fn set_certificates(&self, certificates: Vec<NamedCertificate>) -> Result<()> {
        match &self.reception.tls {
            Some(tls) => Ok(tls.certificates.set(&certificates)?),
            None => Err(Error::new(ErrorName::InvalidStateError, "the server has no TLS of its own").into()),
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

/// What the server has chosen from a request.
struct Agreed {
    protocol: String,
    extensions: String,
    deflate: Option<Deflate>,
}

async fn serve(
    transport: oneshot::Receiver<Accepted>,
    agreed: Agreed,
    limits: Limits,
    link: Arc<Link>,
    port: Arc<Port>,
) {
    let accepted = tokio::select! {
        accepted = transport => accepted.ok(),
        () = link.aborted() => Some(Err(Cause::aborted())),
    };
    match accepted {
        Some(Ok((transport, rest))) => {
            Driver::new(transport, rest, Role::Server, agreed.deflate, limits, link, port)
                .open(&agreed.protocol, &agreed.extensions, Wake::Now)
                .await;
        }
        Some(Err(cause)) => emit_failed(&port, &cause),
        // `RequestGone` has said why.
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
