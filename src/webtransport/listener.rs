//! The door of a `WebTransportServer`: a QUIC endpoint and its connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Connection, ServerConfig};
use rustls::pki_types::CertificateDer;
use tokio::sync::{oneshot, watch};

use super::client::{ALPN, fields};
use super::established::{Close, Closer};
use super::http3::capsule::cut_reason;
use super::http3::connect::ConnectResponse;
use super::limits::{self, ConnectionLimits, ServerLimits};
use super::listening::run;
use super::refusals::Refusals;
use super::request::{self, Answer, Requests, Waiting};
use super::request_stream::{Offer, WebTransportRequestStream};
use super::session::{INTERNAL, WebTransportEvent, WebTransportSession};
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Port, Terminal};
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

impl From<&ListenLimits> for ServerLimits {
    fn from(limits: &ListenLimits) -> Self {
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

/// Clients that a server has not let in.
#[napi(object)]
pub struct WebTransportRefusals {
    /// Of each, separated by NUL: the status that was answered, or 0; phase, code, address, port and text.
    pub clients: Vec<String>,
    /// How many came behind these, of whom nothing else is known.
    pub more: u32,
}

/// The native half of a `WebTransportServer`.
#[napi]
pub struct WebTransportListener {
    shared: Arc<Shared>,
}

/// Why a request can't be accepted.
const GONE: u32 = 0;
const FULL: u32 = 1;

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
    /// Who was not let in, for the operator.
    pub(super) refusals: Arc<Refusals>,
    closing: watch::Sender<Closing>,
}

#[napi]
impl WebTransportListener {
    /// Listens. `Listening` or `ListenFailed` says how that went; then `Request` comes for each request.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: ListenOptions) -> Result<Self> {
        let port = hub.port(id);
        let (shared, config) = Shared::new(port.clone(), &options)?;
        let terminal = Terminal {
            event: WebTransportEvent::ListenerEnded.into(),
            a: INTERNAL,
            b: 0,
        };
        let host = options.host.unwrap_or_else(|| "::".into());
        port.spawn(terminal, run(shared.clone(), config, host, options.port));
        Ok(Self { shared })
    }

    /// Accepts a request: makes the session that JavaScript knows as `id`. 0 when the request has gone, 1 when its connection
    /// has as many sessions as it may have.
    #[napi(catch_unwind)]
    pub fn accept(
        &self,
        hub: &Hub,
        id: u32,
        key: u32,
        protocol: Option<String>,
        headers: Vec<String>,
    ) -> Either<WebTransportSession, u32> {
        let Some(waiting) = self.shared.requests().waiting.remove(&key) else {
            return Either::B(GONE);
        };
        let Waiting {
            http3,
            id: stream,
            answer,
        } = waiting;
        let port = hub.port(id);
        let session = http3.session(stream, port.clone());
        let response = ConnectResponse {
            status: 200,
            protocol,
            headers: fields(&headers),
        };
        // The session is entered here, so that no stream is refused between now and the answer.
        if http3.enter(&session).is_none() {
            return Either::B(FULL);
        }
        let (handing, handed) = oneshot::channel();
        if answer.send(Answer::Accept(handing)).is_err() {
            // It has gone since this began.
            http3.leave(&session);
            return Either::B(GONE);
        }
        let accepted = WebTransportSession::accepted(&session, port.clone());
        port.spawn(
            WebTransportSession::TERMINAL,
            request::live(self.shared.clone(), session, http3, handed, response),
        );
        Either::A(accepted)
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

    /// Takes what the event `Refused` was about.
    #[napi(catch_unwind)]
    pub fn take_refusals(&self) -> WebTransportRefusals {
        let waiting = self.shared.refusals.take();
        WebTransportRefusals {
            clients: waiting.texts(),
            more: waiting.more,
        }
    }

    /// Drops it: nobody wants to know.
    #[napi(catch_unwind)]
    pub fn drop_refusals(&self) {
        drop(self.shared.refusals.take());
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
    /// What all connections of a listener share, and how QUIC is to listen for them.
    fn new(port: Arc<Port>, options: &ListenOptions) -> Result<(Arc<Self>, ServerConfig)> {
        let limits = ServerLimits::from(&options.limits);
        let tls = ServerTls::new(&options.certificates, options.client_certificates.as_ref(), ALPN)?;
        // Its `max_early_data_size` is 0: no CONNECT in 0-RTT, which could be replayed.
        let config = QuicServerConfig::try_from(tls.config.clone())
            .map_err(|error| Error::new(ErrorName::TypeError, error.to_string()))?;
        let mut config = ServerConfig::with_crypto(Arc::new(config));
        config.transport_config(limits.connection.transport());
        limits::limit_incoming(&mut config);
        let shared = Self {
            refusals: Arc::new(Refusals::new(port.clone())),
            port,
            limits,
            tls,
            serves_plain_requests: options.serves_plain_requests,
            sessions: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            requests: Mutex::default(),
            closing: watch::Sender::new(Closing::Open),
        };
        Ok((Arc::new(shared), config))
    }

    /// The requests that wait.
    pub(super) fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What TLS says of a client, for JavaScript.
    pub(super) fn client_tls(&self, quic: &Connection) -> [String; 4] {
        let chain = quic.peer_identity().and_then(|identity| identity.downcast().ok());
        let chain: Vec<CertificateDer<'static>> = chain.map(|chain| *chain).unwrap_or_default();
        let data = quic
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok());
        let servername = data.and_then(|data| data.server_name);
        self.tls.describe(&chain, servername.as_deref(), "TLSv1.3").fields()
    }

    /// Whether the server takes no more requests.
    pub(super) fn is_closing(&self) -> bool {
        !matches!(*self.closing.borrow(), Closing::Open)
    }

    /// Waits until the server takes no more requests. Cancel safe.
    pub(super) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        let drains = closing.wait_for(|closing| !matches!(closing, Closing::Open)).await;
        drains.expect("this holds the sender");
    }

    /// Waits until the sessions' time is over and says how they end. Cancel safe.
    pub(super) async fn expired(&self) -> Close {
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

#[cfg(test)]
mod refusal_tests;
