//! The door of a `WebTransportServer`: a QUIC endpoint and its connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use napi_derive::napi;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Connection, Incoming, ServerConfig};
use rustls::pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use super::client::{ALPN, fields};
use super::connect_stream::ConnectStream;
use super::endpoint;
use super::established::{Close, Closer};
use super::http3::capsule::cut_reason;
use super::http3::connect::ConnectResponse;
use super::http3::error_code::ErrorCode;
use super::limits::{self, ConnectionLimits, Role, ServerLimits};
use super::request::{self, Answer, Requests, Waiting};
use super::request_stream::{Offer, WebTransportRequestStream};
use super::session::{INTERNAL, WebTransportEvent, WebTransportSession};
use super::task::Http3;
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Payload, Port, Terminal};
use crate::server_tls::{ClientCertificates, NamedCertificate, ServerTls};

/// What `web/webtransport/` asks for, converted and checked there.
#[napi(object)]
pub struct ListenOptions {
    /// Name or address of an interface; all when absent.
    pub host: Option<String>,
    /// UDP port; 0 is any.
    pub port: u16,
    /// Who it is.
    pub certificates: Vec<NamedCertificate>,
    /// What clients are asked for.
    pub client_certificates: Option<ClientCertificates>,
    /// What clients may make it hold.
    pub limits: ListenLimits,
    /// Whether somebody answers plain requests; otherwise they are answered 404.
    pub serves_plain_requests: bool,
}

/// The limits of a server; see [`ServerLimits`].
#[napi(object)]
pub struct ListenLimits {
    /// Connections at once.
    pub max_connections: u32,
    /// Sessions at once on one connection.
    pub max_sessions_per_connection: u32,
    /// Streams of each kind at once on one connection.
    pub max_streams_per_connection: u32,
    /// Connections in the handshake.
    pub max_pending_handshakes: u32,
    /// Of those, how many whose address nobody has shown.
    pub max_unproven_handshakes: u32,
    /// Requests without an answer.
    pub max_pending_requests: u32,
    /// Bytes of one stream that nobody has read.
    pub max_unread_bytes_per_stream: u32,
    /// Bytes of one connection that nobody has read.
    pub max_unread_bytes_per_connection: u32,
    /// Bytes of one connection that the client has not acknowledged.
    pub max_queued_bytes_per_connection: u32,
    /// For a connection's handshake, and for a request to come.
    pub handshake_timeout_ms: u32,
    /// For the answer to a request.
    pub request_timeout_ms: u32,
    /// For a client that takes nothing of an answer.
    pub response_timeout_ms: u32,
    /// A client that is silent for so long is gone.
    pub idle_timeout_ms: u32,
    /// How often a silent client has to show that it is there.
    pub keep_alive_interval_ms: Option<u32>,
}

impl From<ListenLimits> for ServerLimits {
    fn from(limits: ListenLimits) -> Self {
        let time = |ms: u32| Duration::from_millis(ms.into());
        Self {
            connections: limits.max_connections as usize,
            sessions_per_connection: limits.max_sessions_per_connection as usize,
            pending_handshakes: limits.max_pending_handshakes as usize,
            unproven_handshakes: limits.max_unproven_handshakes as usize,
            pending_requests: limits.max_pending_requests as usize,
            handshake_timeout: time(limits.handshake_timeout_ms),
            request_timeout: time(limits.request_timeout_ms),
            response_timeout: time(limits.response_timeout_ms),
            connection: ConnectionLimits {
                streams: limits.max_streams_per_connection,
                unread_stream_bytes: limits.max_unread_bytes_per_stream,
                unread_bytes: limits.max_unread_bytes_per_connection,
                queued_bytes: limits.max_queued_bytes_per_connection,
                idle_timeout: time(limits.idle_timeout_ms),
                keep_alive_interval: limits.keep_alive_interval_ms.map(time),
            },
        }
    }
}

/// The native half of a `WebTransportServer`.
#[napi]
pub struct WebTransportListener {
    shared: Arc<Shared>,
}

/// How a server ends.
#[derive(Clone, Debug)]
enum Closing {
    /// It doesn't.
    Open,
    /// It takes no more connections and waits for its sessions, at most until then; those that are left end in this way.
    Drain { until: Option<Instant>, close: Close },
}

pub(super) struct Shared {
    pub(super) port: Arc<Port>,
    pub(super) limits: ServerLimits,
    tls: ServerTls,
    pub(super) serves_plain_requests: bool,
    /// How many sessions are open.
    pub(super) sessions: AtomicUsize,
    /// How many requests are without an answer.
    pub(super) pending: AtomicUsize,
    requests: Mutex<Requests>,
    closing: watch::Sender<Closing>,
}

#[napi]
impl WebTransportListener {
    /// Listens. `Listening` or `ListenFailed` says how that went; then `Request` comes for each request.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: ListenOptions) -> Result<Self> {
        let limits = ServerLimits::from(options.limits);
        let tls = ServerTls::new(&options.certificates, options.client_certificates.as_ref(), ALPN)?;
        // Its `max_early_data_size` is 0: no CONNECT in 0-RTT, which could be replayed.
        let config = QuicServerConfig::try_from(tls.config.clone())
            .map_err(|error| Error::new(ErrorName::TypeError, error.to_string()))?;
        let mut config = ServerConfig::with_crypto(Arc::new(config));
        config.transport_config(limits.connection.transport());
        limits::limit_incoming(&mut config);
        let port = hub.port(id);
        let closing = watch::Sender::new(Closing::Open);
        let shared = Arc::new(Shared {
            port: port.clone(),
            limits,
            tls,
            serves_plain_requests: options.serves_plain_requests,
            sessions: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            requests: Mutex::default(),
            closing,
        });
        let terminal = Terminal {
            event: WebTransportEvent::ListenerEnded.into(),
            a: INTERNAL,
            b: 0,
        };
        let host = options.host.unwrap_or_else(|| "::".into());
        port.spawn(terminal, run(shared.clone(), config, host, options.port));
        Ok(Self { shared })
    }

    /// Accepts a request: makes the session that JavaScript knows as `id`. Null when the request has gone.
    #[napi(catch_unwind)]
    pub fn accept(
        &self,
        hub: &Hub,
        id: u32,
        key: u32,
        protocol: Option<String>,
        headers: Vec<String>,
    ) -> Option<WebTransportSession> {
        let Waiting {
            http3,
            id: stream,
            answer,
        } = self.shared.requests().waiting.remove(&key)?;
        let port = hub.port(id);
        let session = http3.session(stream, port.clone());
        let response = ConnectResponse {
            status: 200,
            protocol,
            headers: fields(&headers),
        };
        // The session is entered here, so that no stream is refused between now and the answer.
        http3.enter(&session)?;
        let (handing, handed) = oneshot::channel();
        if answer.send(Answer::Accept(handing)).is_err() {
            // It has gone since this began.
            http3.leave(&session);
            return None;
        }
        let accepted = WebTransportSession::accepted(&session, port.clone());
        port.spawn(
            WebTransportSession::TERMINAL,
            request::live(self.shared.clone(), session, http3, handed, response),
        );
        Some(accepted)
    }

    /// Rejects a request with a status, headers and a body. False when the request has gone.
    #[napi(catch_unwind)]
    pub fn reject(&self, key: u32, status: u16, headers: Vec<String>, body: String) -> bool {
        let Some(waiting) = self.shared.requests().waiting.remove(&key) else {
            return false;
        };
        let response = ConnectResponse {
            status,
            protocol: None,
            headers: fields(&headers),
        };
        waiting.answer.send(Answer::Reject(response, body)).is_ok()
    }

    /// Takes a plain request, which then tells the object that JavaScript knows as `id` of its content and its end. Null
    /// when it has gone.
    #[napi(catch_unwind)]
    pub fn take_request_stream(&self, hub: &Hub, id: u32, key: u32) -> Option<WebTransportRequestStream> {
        let Offer { exchange, taken } = self.shared.requests().offers.remove(&key)?;
        taken.send(hub.port(id)).ok()?;
        Some(WebTransportRequestStream::new(exchange))
    }

    /// Replaces all certificates for the handshakes to come. Sessions stay.
    #[napi(catch_unwind)]
    pub fn set_certificates(&self, certificates: Vec<NamedCertificate>) -> Result<()> {
        Ok(self.shared.tls.certificates.set(&certificates)?)
    }

    /// How many sessions are open.
    #[napi(catch_unwind)]
    pub fn sessions(&self) -> u32 {
        u32::try_from(self.shared.sessions.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Takes no more requests, asks all sessions to end, waits so long for that, ends what is left with a code and a
    /// reason; `ListenerEnded` follows.
    #[napi(catch_unwind)]
    pub fn close(&self, timeout_ms: f64, code: u32, reason: String) {
        let timeout = Duration::try_from_secs_f64(timeout_ms / 1000.0).ok();
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let close = Close {
            by: Closer::Server,
            code,
            reason: cut_reason(&reason).into(),
        };
        self.shared.closing.send_replace(Closing::Drain { until, close });
    }
}

impl Drop for WebTransportListener {
    fn drop(&mut self) {
        // Collected: nobody can take a request. Sessions that scripts have live on.
        self.shared.closing.send_if_modified(|closing| {
            let first = matches!(closing, Closing::Open);
            if first {
                let close = Close::plain(Closer::Server);
                *closing = Closing::Drain { until: None, close };
            }
            first
        });
    }
}

impl Shared {
    /// The requests that wait.
    pub(super) fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What TLS says of a client, for JavaScript.
    fn client_tls(&self, quic: &Connection) -> [String; 4] {
        let chain = quic.peer_identity().and_then(|identity| identity.downcast().ok());
        let chain: Vec<CertificateDer<'static>> = chain.map(|chain| *chain).unwrap_or_default();
        let data = quic
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok());
        let servername = data.and_then(|data| data.server_name);
        self.tls.describe(&chain, servername.as_deref(), "TLSv1.3").fields()
    }

    /// Waits until the server takes no more requests. Cancel safe.
    async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        let drains = closing.wait_for(|closing| !matches!(closing, Closing::Open)).await;
        drains.expect("this holds the sender");
    }

    /// Waits until the sessions' time is over and says how they end. Cancel safe.
    async fn expired(&self) -> Close {
        let mut closing = self.closing.subscribe();
        loop {
            let now = closing.borrow_and_update().clone();
            let wait = async {
                match now {
                    Closing::Drain {
                        until: Some(until),
                        close,
                    } => {
                        tokio::time::sleep_until(until.into()).await;
                        close
                    }
                    Closing::Open | Closing::Drain { until: None, .. } => std::future::pending().await,
                }
            };
            tokio::select! {
                close = wait => return close,
                changed = closing.changed() => changed.expect("this holds the sender"),
            }
        }
    }
}

async fn run(shared: Arc<Shared>, config: ServerConfig, host: String, port: u16) {
    let listening = match endpoint::listen(&host, port, config).await {
        Ok(listening) => listening,
        Err(error) => {
            let text = Error::system(&error).message;
            shared
                .port
                .emit(WebTransportEvent::ListenFailed, 0, 0, Payload::Text(&text));
            shared
                .port
                .emit_terminal(WebTransportEvent::ListenerEnded, 0, 0, Payload::None);
            return;
        }
    };
    let endpoint = &listening.endpoint;
    let address = endpoint.local_addr().expect("a bound socket has an address");
    let text = address.ip().to_string();
    shared.port.emit(
        WebTransportEvent::Listening,
        address.port().into(),
        0,
        Payload::Text(&text),
    );
    let mut connections = JoinSet::new();
    let handshakes = Arc::new(Semaphore::new(shared.limits.pending_handshakes));
    loop {
        tokio::select! {
            () = shared.closed() => break,
            Some(_ended) = connections.join_next() => {}
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    if connections.len() >= shared.limits.connections {
                        incoming.refuse();
                    } else if let Some((incoming, handshake)) = admit(incoming, &handshakes, &shared.limits) {
                        connections.spawn(serve(shared.clone(), incoming, handshake));
                    }
                }
                None => break,
            },
        }
    }
    shared.requests().waiting.clear();
    // Each connection ends with its last session, or when the time is over. Clients that come meanwhile are told at once.
    loop {
        tokio::select! {
            biased;
            ended = connections.join_next() => if ended.is_none() { break },
            Some(incoming) = endpoint.accept() => incoming.refuse(),
        }
    }
    endpoint.set_server_config(None);
    listening.close().await;
    shared
        .port
        .emit_terminal(WebTransportEvent::ListenerEnded, 0, 0, Payload::None);
}

/// Lets a connection into the handshake. In a flood only those are let in that have shown that their address is their
/// own; the others are told to, at the cost of one small packet and no memory.
fn admit(
    incoming: Incoming,
    handshakes: &Arc<Semaphore>,
    limits: &ServerLimits,
) -> Option<(Incoming, OwnedSemaphorePermit)> {
    let running = limits.pending_handshakes - handshakes.available_permits();
    if running >= limits.unproven_handshakes && !incoming.remote_address_validated() {
        // An address that has not been shown can be asked for.
        let _asked = incoming.retry();
        return None;
    }
    match handshakes.clone().try_acquire_owned() {
        Ok(handshake) => Some((incoming, handshake)),
        Err(_full) => {
            incoming.refuse();
            None
        }
    }
}

/// The life of one connection.
async fn serve(shared: Arc<Shared>, incoming: Incoming, handshake: OwnedSemaphorePermit) {
    let Ok(connecting) = incoming.accept() else { return };
    let quic = tokio::select! {
        quic = tokio::time::timeout(shared.limits.handshake_timeout, connecting) => quic,
        () = shared.closed() => return,
    };
    let Ok(Ok(quic)) = quic else { return };
    drop(handshake);
    let client: Arc<[String]> = shared.client_tls(&quic).into();
    let shares = shared.limits.connection.shares(shared.limits.sessions_per_connection);
    let (http3, mut received) = Http3::new(quic.clone(), Role::Server, shares);
    http3.underlying.allow(shared.limits.connection.streams);
    let window = &http3.underlying.send_window;
    window.set_limit(shared.limits.connection.queued_bytes.into());
    let mut requests = JoinSet::new();
    let mut serving = std::pin::pin!(http3.clone().serve());
    let mut closing = false;
    let mut ending = false;
    loop {
        tokio::select! {
            _end = &mut serving => break,
            Some(stream) = received.recv() => {
                if closing {
                    refuse(&http3, *stream);
                } else {
                    requests.spawn(request::serve(shared.clone(), http3.clone(), client.clone(), *stream));
                }
            }
            Some(_answered) = requests.join_next() => {}
            () = shared.closed(), if !closing => {
                closing = true;
                http3.go_away();
            }
            close = shared.expired(), if !ending => {
                ending = true;
                http3.close_sessions(&close);
                // Those that are without an answer, and answers that are not whole.
                requests.abort_all();
            }
            // Requests that are being answered may still become sessions.
            () = http3.emptied(), if closing && requests.is_empty() => break,
        }
    }
    super::task::shut_down(&quic).await;
}

fn refuse(http3: &Http3, mut stream: ConnectStream) {
    http3.refuse(stream.id());
    stream.abort(ErrorCode::H3_REQUEST_REJECTED);
}
