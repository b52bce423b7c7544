//! Opens a connection and a session on it: <https://www.w3.org/TR/webtransport/#webtransport-connection>.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::certificate_hash::{self, Hash};
use super::connect_stream::{self, Broken, ConnectStream, lost};
use super::endpoint;
use super::established::{Close, Closer, Session, varint};
use super::http3::connect::{ConnectRequest, ConnectResponse, MessageError};
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Frame};
use super::http3::{Field, Violation};
use super::limits::{self, ESTABLISH_TIMEOUT, Role, SESSIONS_PER_CONNECTION};
use super::preferences::Preferences;
use super::session::WebTransportEvent;
use super::task::{self, Http3};
use crate::error::{Error, ErrorName};
use crate::hub::{Payload, Port};
use crate::tls::{self, TlsOptions};

/// ALPN of HTTP/3.
pub(crate) const ALPN: &[&[u8]] = &[b"h3"];
/// When an address has not answered for so long the next is tried as well: RFC 8305, section 5.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Between addresses of this machine there is nothing to wait for.
const LOCAL_ATTEMPT_DELAY: Duration = Duration::from_millis(10);
/// Addresses of a name that are tried at most.
const MAX_ADDRESSES: usize = 8;

/// What to connect to and what to ask for.
pub(crate) struct Options {
    /// The host without brackets.
    pub(crate) host: String,
    /// The UDP port.
    pub(crate) port: u16,
    /// The request.
    pub(crate) request: ConnectRequest,
    /// Hashes of which one must be the certificate's; absent when authorities decide.
    pub(crate) server_certificate_hashes: Option<Vec<Hash>>,
    /// A peer that is silent for so long is gone.
    pub(crate) idle_timeout_ms: u32,
    /// What the application asks of QUIC.
    pub(crate) preferences: Preferences,
    /// Trust and identity.
    pub(crate) tls: TlsOptions,
}

/// The same, ready to dial.
pub(crate) struct Target {
    host: String,
    port: u16,
    server_name: String,
    request: ConnectRequest,
    config: ClientConfig,
}

impl TryFrom<Options> for Target {
    type Error = Error;

    fn try_from(options: Options) -> Result<Self, Error> {
        let refused = |error: String| Error::new(ErrorName::TypeError, error);
        let Options {
            host,
            port,
            request,
            server_certificate_hashes,
            idle_timeout_ms,
            preferences,
            tls,
        } = options;
        let config = match server_certificate_hashes {
            None => tls::client_config(&tls, ALPN)?,
            Some(hashes) => Arc::new(hashes_config(hashes, &tls)?),
        };
        let config = QuicClientConfig::try_from(config).map_err(|error| refused(error.to_string()))?;
        let mut config = ClientConfig::new(Arc::new(config));
        let mut transport = limits::transport(Role::Client, idle_timeout_ms);
        preferences.apply(Arc::get_mut(&mut transport).expect("nobody else has it yet"));
        config.transport_config(transport);
        let server_name = tls.servername.unwrap_or_else(|| host.clone());
        Ok(Self {
            host,
            port,
            server_name,
            request,
            config,
        })
    }
}

/// Header fields from names and values one after the other, as JavaScript has them.
pub(crate) fn fields(flat: &[String]) -> Vec<Field> {
    let (pairs, _) = flat.as_chunks();
    pairs
        .iter()
        .map(|[name, value]| Field::new(name.as_bytes(), bytes_of(value)))
        .collect()
}

/// A byte string: each character is a byte.
fn bytes_of(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(character).unwrap_or(b'?'))
        .collect()
}

/// Text of a byte string: each byte is a character.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn hashes_config(expected: Vec<Hash>, options: &TlsOptions) -> Result<rustls::ClientConfig, Error> {
    let refused = |error: rustls::Error| Error::new(ErrorName::TypeError, error.to_string());
    let builder = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(certificate_hash::verifier(expected));
    let mut config = match tls::identity(options.cert.as_deref(), options.key.as_deref())? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(refused)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
    // A session resumed under other hashes would not check them.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

const GOING_AWAY: &str = "the server takes no more sessions on this connection";

/// Why there is no session; a text for people.
struct Failure(String);

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self(broken.describe())
    }
}

/// The life of a client's session, from the first packet to the last.
pub(crate) async fn run(
    target: Target,
    port: Arc<Port>,
    session: Arc<OnceLock<Weak<Session>>>,
    abandoned: CancellationToken,
) {
    let establishing = tokio::time::timeout(ESTABLISH_TIMEOUT, establish(&target, &port));
    let established = tokio::select! {
        established = establishing => established,
        () = abandoned.cancelled() => Ok(Err(Failure("the session was given up".into()))),
    };
    let established = established.unwrap_or_else(|_| Err(Failure("the server did not answer in time".into())));
    let mut established = match established {
        Ok(established) => established,
        Err(Failure(message)) => {
            port.emit(WebTransportEvent::Failed, 0, 0, Payload::Text(&message));
            port.emit_terminal(WebTransportEvent::Ended, 0, 0, Payload::None);
            return;
        }
    };
    let own = established.session;
    session
        .set(Arc::downgrade(&own))
        .unwrap_or_else(|_| unreachable!("only this task sets it"));
    port.emit(
        WebTransportEvent::Ready,
        0,
        0,
        Payload::Text(&ready_text(&established.response)),
    );
    if abandoned.is_cancelled() {
        // It was given up between the answer and now.
        own.close_unless_closed(Close::plain(Closer::Script));
    }
    tokio::select! {
        () = connect_stream::run(&own, established.stream) => {}
        Err(error) = task_end(&mut established.server) => std::panic::resume_unwind(error),
    }
    established.http3.leave(&own);
    task::shut_down(&own.connection).await;
    port.emit_terminal(WebTransportEvent::Ended, 0, 0, Payload::None);
}

/// Waits for the connection's task to panic; its other ends are seen on the session's stream.
async fn task_end(server: &mut JoinSet<task::End>) -> Result<(), Box<dyn std::any::Any + Send>> {
    match server.join_next().await {
        Some(Err(error)) if error.is_panic() => Err(error.into_panic()),
        Some(_) | None => std::future::pending().await,
    }
}

/// The answer as JavaScript reads it: the protocol, then the headers, in lines.
fn ready_text(response: &ConnectResponse) -> String {
    let mut text = response.protocol.clone().unwrap_or_default();
    for field in &response.headers {
        text.push('\n');
        text.push_str(&text_of(&field.name));
        text.push_str(": ");
        text.push_str(&text_of(&field.value));
    }
    text
}

/// What an established session consists of.
struct Established {
    http3: Arc<Http3>,
    /// The connection's task.
    server: JoinSet<task::End>,
    session: Arc<Session>,
    stream: ConnectStream,
    response: ConnectResponse,
}

async fn establish(target: &Target, port: &Arc<Port>) -> Result<Established, Failure> {
    let (quic, _endpoint) = connect(target).await?;
    let (http3, _no_requests) = Http3::new(quic.clone(), Role::Client, SESSIONS_PER_CONNECTION);
    let mut server = JoinSet::new();
    server.spawn(http3.clone().serve());
    // CONNECT is never sent to a server that has not said that it understands it.
    let settings = http3.peer_settings().await;
    let Some(settings) = settings else {
        return Err(match server.join_next().await {
            Some(Ok(task::End::Violation(violation))) => Broken::Violation(violation).into(),
            Some(Ok(task::End::Lost(error))) => Failure(lost(&error)),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) | None => Failure("the connection ended".into()),
        });
    };
    if !settings.server_supports_webtransport() {
        quic.close(varint(ErrorCode::H3_NO_ERROR), b"");
        return Err(Failure("the server does not support WebTransport".into()));
    }
    if http3.goaway().from.is_some() {
        return Err(Failure(GOING_AWAY.into()));
    }
    let (send, receive) = quic.open_bi().await.map_err(|error| Failure(lost(&error)))?;
    let mut stream = ConnectStream::new(send, receive, bytes::Bytes::new());
    let session = http3.session(stream.id(), port.clone());
    http3
        .enter(&session)
        .ok_or(Failure("the connection has too many sessions".into()))?;
    let headers = frame::headers(&target.request.encode());
    let written = stream.send.write_all(&headers).await;
    if let Err(quinn::WriteError::ConnectionLost(error)) = written {
        return Err(Failure(lost(&error)));
    }
    let answered = tokio::select! {
        biased;
        answered = answer(&mut stream, &target.request) => answered,
        () = http3.excluded(session.id) => {
            stream.abort(ErrorCode::H3_REQUEST_CANCELLED);
            Err(Failure(GOING_AWAY.into()))
        }
    };
    match answered {
        Ok(response) => Ok(Established {
            http3,
            server,
            session,
            stream,
            response,
        }),
        Err(failure) => {
            session.end(Duration::ZERO).await;
            task::shut_down(&quic).await;
            Err(failure)
        }
    }
}

/// Waits for the final answer to CONNECT.
async fn answer(stream: &mut ConnectStream, request: &ConnectRequest) -> Result<ConnectResponse, Failure> {
    loop {
        let section = match stream.next().await? {
            Some(Frame::Headers(section)) => section,
            Some(Frame::Data(_)) => {
                let rule = "data before an answer";
                return Err(Broken::Violation(Violation::connection(ErrorCode::H3_FRAME_UNEXPECTED, rule)).into());
            }
            Some(Frame::Settings(_) | Frame::Goaway(_)) => unreachable!("a request's decoder refuses them"),
            None => return Err(Failure("the server ended the stream without an answer".into())),
        };
        let response = match ConnectResponse::decode(&section) {
            Ok(response) => response,
            Err(MessageError::Malformed(violation)) => return Err(Broken::Violation(violation).into()),
            Err(MessageError::TooLarge) => return Err(Failure("the server's headers are too large".into())),
        };
        match response.status {
            100..200 => {}
            200..300 => {
                let chosen = response.protocol.as_ref();
                if chosen.is_some_and(|protocol| !request.protocols.contains(protocol)) {
                    return Err(Failure("the server chose a protocol that was not on offer".into()));
                }
                return Ok(response);
            }
            // Redirects are never followed.
            status => return Err(Failure(format!("the server answered with status {status}"))),
        }
    }
}

/// A QUIC connection to the first address of the host that answers, and the endpoint that carries it.
async fn connect(target: &Target) -> Result<(Connection, Arc<Endpoint>), Failure> {
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let addresses = addresses.map_err(|error| Failure(format!("the server's name could not be resolved ({error})")))?;
    let mut attempts = JoinSet::new();
    let mut wait = Duration::ZERO;
    for address in addresses.take(MAX_ADDRESSES) {
        attempts.spawn(attempt(
            target.config.clone(),
            target.server_name.clone(),
            address,
            wait,
        ));
        wait += if address.ip().is_loopback() {
            LOCAL_ATTEMPT_DELAY
        } else {
            ATTEMPT_DELAY
        };
    }
    let mut failure = Failure("the server's name has no address".into());
    while let Some(done) = attempts.join_next().await {
        match done {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => failure = error,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => {}
        }
    }
    Err(failure)
}

async fn attempt(
    config: ClientConfig,
    server_name: String,
    address: SocketAddr,
    wait: Duration,
) -> Result<(Connection, Arc<Endpoint>), Failure> {
    // A sleep of nothing still lasts until the timer's next millisecond.
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let endpoint = endpoint::for_clients(address).map_err(|error| Failure(error.to_string()))?;
    let connecting = endpoint.connect_with(config, address, &server_name);
    let connecting = connecting.map_err(|error| Failure(error.to_string()))?;
    let connection = connecting.await.map_err(|error| Failure(lost(&error)))?;
    Ok((connection, endpoint))
}

#[cfg(test)]
mod trust_tests;
