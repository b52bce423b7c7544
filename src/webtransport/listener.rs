//! The door of a `WebTransportServer`: a QUIC endpoint, its connections, and the requests that wait for an answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use napi_derive::napi;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Incoming, ServerConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use super::client::{ALPN, fields, text_of};
use super::connect_stream::{self, Broken, ConnectStream};
use super::endpoint;
use super::established::Session;
use super::http3::Field;
use super::http3::connect::{ConnectRequest, ConnectResponse, MessageError, Request};
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Frame};
use super::limits::{
    self, ESTABLISH_TIMEOUT, HANDSHAKES, HANDSHAKES_UNPROVEN, REQUEST_TIMEOUT, Role, WAITING_REQUESTS,
};
use super::session::{INTERNAL, WebTransportEvent, WebTransportSession};
use super::task::Http3;
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Payload, Port, Terminal};
use crate::tls;

/// What `web/webtransport/` asks for, converted and checked there.
#[napi(object)]
pub struct ListenOptions {
    /// Name or address of an interface; all when absent.
    pub host: Option<String>,
    /// UDP port; 0 is any.
    pub port: u16,
    /// Certificate chain, PEM.
    pub cert: String,
    /// Its key, PEM.
    pub key: String,
    /// A peer that is silent for so long is gone.
    pub idle_timeout_ms: u32,
}

/// The native half of a `WebTransportServer`.
#[napi]
pub struct WebTransportListener {
    shared: Arc<Shared>,
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// It doesn't.
    Open,
    /// It takes no more connections and waits for its sessions, at most until then.
    Drain { until: Option<Instant> },
}

struct Shared {
    port: Arc<Port>,
    requests: Mutex<Requests>,
    closing: watch::Sender<Closing>,
}

#[derive(Default)]
struct Requests {
    waiting: HashMap<u32, Waiting>,
    last_key: u32,
}

/// A request that the application has not answered.
struct Waiting {
    http3: Arc<Http3>,
    id: u64,
    answer: oneshot::Sender<Answer>,
}

/// What the application answers.
enum Answer {
    Accept(Arc<Session>, ConnectResponse),
    Reject(ConnectResponse, String),
}

#[napi]
impl WebTransportListener {
    /// Listens. `Listening` or `ListenFailed` says how that went; then `Request` comes for each request.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: ListenOptions) -> Result<Self> {
        let mut config = tls::server_config(&options.cert, &options.key, ALPN)?;
        // No CONNECT in 0-RTT: it could be replayed.
        config.max_early_data_size = 0;
        let config =
            QuicServerConfig::try_from(config).map_err(|error| Error::new(ErrorName::TypeError, error.to_string()))?;
        let mut config = ServerConfig::with_crypto(Arc::new(config));
        config.transport_config(limits::transport(Role::Server, options.idle_timeout_ms));
        limits::limit_incoming(&mut config);
        let port = hub.port(id);
        let closing = watch::Sender::new(Closing::Open);
        let shared = Arc::new(Shared {
            port: port.clone(),
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
        let waiting = self.shared.requests().waiting.remove(&key)?;
        let session = waiting.http3.session(waiting.id, hub.port(id));
        let response = ConnectResponse {
            status: 200,
            protocol,
            headers: fields(&headers),
        };
        // The session is entered here, so that no stream is refused between now and the answer.
        waiting.http3.enter(&session)?;
        let accepted = WebTransportSession::accepted(&session);
        if waiting.answer.send(Answer::Accept(session.clone(), response)).is_err() {
            // It has gone since this began.
            waiting.http3.leave(&session);
            return None;
        }
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

    /// Takes no more requests, waits so long for sessions to end, ends what is left; `ListenerEnded` follows.
    #[napi(catch_unwind)]
    pub fn close(&self, timeout_ms: f64) {
        let timeout = Duration::try_from_secs_f64(timeout_ms / 1000.0).ok();
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.shared.closing.send_replace(Closing::Drain { until });
    }
}

impl Drop for WebTransportListener {
    fn drop(&mut self) {
        // Collected: nobody can take a request. Sessions that scripts have live on.
        self.shared.closing.send_if_modified(|closing| {
            let first = *closing == Closing::Open;
            if first {
                *closing = Closing::Drain { until: None };
            }
            first
        });
    }
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server takes no more requests. Cancel safe.
    async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        let drains = closing.wait_for(|closing| *closing != Closing::Open).await;
        drains.expect("this holds the sender");
    }

    /// Waits until the sessions' time is over. Cancel safe.
    async fn expired(&self) {
        let mut closing = self.closing.subscribe();
        loop {
            let now = *closing.borrow_and_update();
            let wait = async {
                match now {
                    Closing::Drain { until: Some(until) } => tokio::time::sleep_until(until.into()).await,
                    Closing::Open | Closing::Drain { until: None } => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => return,
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
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        tokio::select! {
            () = shared.closed() => break,
            Some(_ended) = connections.join_next() => {}
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    if let Some((incoming, handshake)) = admit(incoming, &handshakes) {
                        connections.spawn(serve(shared.clone(), incoming, handshake));
                    }
                }
                None => break,
            },
        }
    }
    endpoint.set_server_config(None);
    shared.requests().waiting.clear();
    // Each connection ends with its last session, or when the time is over.
    while connections.join_next().await.is_some() {}
    listening.close().await;
    shared
        .port
        .emit_terminal(WebTransportEvent::ListenerEnded, 0, 0, Payload::None);
}

/// Lets a connection into the handshake. In a flood only those are let in that have shown that their address is their
/// own; the others are told to, at the cost of one small packet and no memory.
fn admit(incoming: Incoming, handshakes: &Arc<Semaphore>) -> Option<(Incoming, OwnedSemaphorePermit)> {
    let running = HANDSHAKES - handshakes.available_permits();
    if running >= HANDSHAKES_UNPROVEN && !incoming.remote_address_validated() {
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
        quic = tokio::time::timeout(ESTABLISH_TIMEOUT, connecting) => quic,
        () = shared.closed() => return,
    };
    let Ok(Ok(quic)) = quic else { return };
    drop(handshake);
    let (http3, mut received) = Http3::new(quic.clone(), Role::Server);
    let mut requests = JoinSet::new();
    let mut serving = std::pin::pin!(http3.clone().serve());
    let mut closing = false;
    let mut ending = false;
    loop {
        tokio::select! {
            _end = &mut serving => break,
            Some(stream) = received.recv() => {
                if closing {
                    refuse(&http3, stream);
                } else {
                    requests.spawn(request(shared.clone(), http3.clone(), stream));
                }
            }
            Some(_answered) = requests.join_next() => {}
            () = shared.closed(), if !closing => closing = true,
            () = shared.expired(), if !ending => {
                ending = true;
                http3.close_sessions();
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

/// One request, from its first byte to its answer.
async fn request(shared: Arc<Shared>, http3: Arc<Http3>, mut stream: ConnectStream) {
    let id = stream.id();
    let first = tokio::time::timeout(ESTABLISH_TIMEOUT, stream.next()).await;
    let response = match first {
        Ok(Ok(Some(Frame::Headers(section)))) => match Request::decode(&section) {
            Ok(Request::WebTransport(request)) => return ask(shared, http3, stream, request).await,
            Ok(Request::Unserved { status }) => status,
            Err(MessageError::TooLarge) => 431,
            Err(MessageError::Malformed(violation)) => {
                http3.refuse(id);
                return stream.punish(&http3.quic, &violation);
            }
        },
        Ok(Err(Broken::Violation(violation))) => {
            http3.refuse(id);
            return stream.punish(&http3.quic, &violation);
        }
        Ok(Err(Broken::Reset)) => return given_up(&http3, &mut stream),
        // Data before headers, an end, or nothing in time.
        Ok(Ok(_) | Err(Broken::Lost(_))) | Err(_) => {
            http3.refuse(id);
            return stream.abort(ErrorCode::H3_REQUEST_INCOMPLETE);
        }
    };
    http3.refuse(id);
    let response = ConnectResponse {
        status: response,
        ..ConnectResponse::default()
    };
    answer(&mut stream, &response, "").await;
}

/// Drops a request whose client no longer wants an answer.
fn given_up(http3: &Http3, stream: &mut ConnectStream) {
    http3.refuse(stream.id());
    match http3.given_up() {
        Ok(()) => stream.abort(ErrorCode::H3_REQUEST_REJECTED),
        Err(violation) => stream.punish(&http3.quic, &violation),
    }
}

/// Takes a request out of those that wait, whatever way its answering ends.
struct Entry {
    shared: Arc<Shared>,
    key: u32,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.shared.requests().waiting.remove(&self.key).is_some() {
            self.shared
                .port
                .emit(WebTransportEvent::RequestGone, self.key, 0, Payload::None);
        }
    }
}

/// Asks the application what becomes of a request for a session, and does it.
async fn ask(shared: Arc<Shared>, http3: Arc<Http3>, mut stream: ConnectStream, request: ConnectRequest) {
    let id = stream.id();
    let (answering, mut answered) = oneshot::channel();
    let entry = {
        let mut requests = shared.requests();
        if requests.waiting.len() >= WAITING_REQUESTS {
            None
        } else {
            requests.last_key = requests.last_key.wrapping_add(1);
            let key = requests.last_key;
            requests.waiting.insert(
                key,
                Waiting {
                    http3: http3.clone(),
                    id,
                    answer: answering,
                },
            );
            Some(Entry {
                shared: shared.clone(),
                key,
            })
        }
    };
    let Some(entry) = entry else {
        http3.refuse(id);
        let response = ConnectResponse {
            status: 503,
            ..ConnectResponse::default()
        };
        return answer(&mut stream, &response, "").await;
    };
    let text = request_text(&request, http3.quic.remote_address());
    shared
        .port
        .emit(WebTransportEvent::Request, entry.key, 0, Payload::Text(&text));
    let deadline = tokio::time::sleep(REQUEST_TIMEOUT);
    let mut deadline = std::pin::pin!(deadline);
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut answered => break outcome.ok(),
            () = &mut deadline => {
                http3.refuse(id);
                let response = ConnectResponse { status: 504, ..ConnectResponse::default() };
                return answer(&mut stream, &response, "").await;
            }
            // Capsules before the answer would be early data for a session that nobody granted yet.
            frame = stream.next() => match frame {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(Broken::Violation(violation)) => {
                    http3.refuse(id);
                    return stream.punish(&http3.quic, &violation);
                }
                Err(Broken::Reset) => return given_up(&http3, &mut stream),
                Err(Broken::Lost(_)) => break None,
            },
        }
    };
    match outcome {
        None => {
            http3.refuse(id);
            stream.abort(ErrorCode::H3_REQUEST_REJECTED);
        }
        Some(Answer::Reject(response, body)) => {
            http3.refuse(id);
            answer(&mut stream, &response, &body).await;
        }
        Some(Answer::Accept(session, response)) => {
            let port = session.port.clone();
            let task = async move {
                let headers = frame::headers(&response.encode());
                // An error means that the client has gone: the session's stream says so.
                let _gone = stream.send.write_all(&headers).await;
                connect_stream::run(&session, stream).await;
                http3.leave(&session);
                session
                    .port
                    .emit_terminal(WebTransportEvent::Ended, 0, 0, Payload::None);
            };
            port.spawn(WebTransportSession::TERMINAL, task);
        }
    }
}

/// Answers a request that becomes no session.
async fn answer(stream: &mut ConnectStream, response: &ConnectResponse, body: &str) {
    let mut bytes = frame::headers(&response.encode());
    if !body.is_empty() {
        bytes.extend_from_slice(&frame::data(body.as_bytes()));
    }
    // Errors mean that the client does not want the answer.
    if stream.send.write_all(&bytes).await.is_ok() && stream.send.finish().is_ok() {
        let _acknowledged = tokio::time::timeout(limits::CLOSE_TIMEOUT, stream.send.stopped()).await;
    }
}

/// A request as JavaScript reads it, in lines; no part can hold a line's end.
fn request_text(request: &ConnectRequest, remote: SocketAddr) -> String {
    let ip = remote.ip().to_canonical();
    let mut lines = vec![
        request.authority.clone(),
        request.path.clone(),
        ip.to_string(),
        remote.port().to_string(),
    ];
    lines.push(request.protocols.len().to_string());
    lines.extend(request.protocols.iter().cloned());
    for Field { name, value } in &request.headers {
        lines.push(format!("{}: {}", text_of(name), text_of(value)));
    }
    lines.join("\n")
}
