//! A client's session, on a connection of its own or of a [`super::pool`]:
//! <https://www.w3.org/TR/webtransport/#webtransport-connection>.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use quinn::ClientConfig;
use quinn::crypto::rustls::QuicClientConfig;
use tokio_util::sync::CancellationToken;

use super::cause::{Cause, Phase, UnderWay};
use super::certificate_hash::{self, Hash};
use super::connect_stream::{self, Broken, ConnectStream};
use super::dial::Address;
use super::established::{Close, Closer, Session, varint};
use super::http3::connect::{ConnectRequest, ConnectResponse, MessageError};
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Frame};
use super::http3::{Field, Violation};
use super::limits::{self, ESTABLISH_TIMEOUT, Role};
use super::pool::{Key, Lease, Wanted};
use super::preferences::Preferences;
use super::session::{INTERNAL, WebTransportEvent};
use super::task::Http3;
use crate::environment::Environment;
use crate::error::{Error, ErrorName};
use crate::hub::{Payload, Port};
use crate::tls::{self, TlsOptions};

/// ALPN of HTTP/3.
pub(crate) const ALPN: &[&[u8]] = &[b"h3"];
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
    /// The address of this machine to connect from.
    pub(crate) local_address: Option<String>,
    /// What the application asks of QUIC.
    pub(crate) preferences: Preferences,
    /// Trust and identity.
    pub(crate) tls: TlsOptions,
    /// `allowPooling`
    pub(crate) pooling: Pooling,
}

/// Whether a session shares its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// It has its own.
    Dedicated,
    /// It may have that of another session.
    Shared,
}

/// The same, ready to dial.
pub(crate) struct Target {
    pub(super) address: Address,
    request: ConnectRequest,
    /// What a connection must have been made for to be this session's too; `None` when it has its own.
    pub(super) key: Option<Key>,
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
            local_address,
            preferences,
            tls,
            pooling,
        } = options;
        let local_address = local_address.map(|address| address.parse()).transpose();
        let local_address = local_address.map_err(|_| refused("localAddress is not an IP address".into()))?;
        let key = (pooling == Pooling::Shared).then(|| Key {
            host: host.clone(),
            port,
            idle_timeout_ms,
            local_address,
            preferences,
            tls: tls.clone(),
        });
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
        let address = Address {
            host,
            port,
            local_address,
            server_name,
            config,
        };
        Ok(Self { address, request, key })
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

/// The life of a client's session, from the first packet to the last.
pub(crate) async fn run(
    target: Target,
    port: Arc<Port>,
    session: Arc<OnceLock<Weak<Session>>>,
    abandoned: CancellationToken,
    environment: Arc<Environment>,
) {
    let under_way = UnderWay::default();
    let establishing = tokio::time::timeout(ESTABLISH_TIMEOUT, establish(target, &port, &environment, &under_way));
    let established = tokio::select! {
        biased;
        () = abandoned.cancelled() => Ok(Err(Cause::aborted())),
        established = establishing => established,
    };
    let established = established.unwrap_or_else(|_| Err(Cause::timed_out(under_way.phase())));
    let established = match established {
        Ok(established) => established,
        Err(cause) => {
            cause.emit(&port);
            port.emit_terminal(WebTransportEvent::Ended, 0, 0, Payload::None);
            return;
        }
    };
    let Established {
        lease,
        own,
        stream,
        response,
    } = established;
    session
        .set(Arc::downgrade(&own.session))
        .unwrap_or_else(|_| unreachable!("only this task sets it"));
    let text = ready_text(&response);
    port.emit(WebTransportEvent::Ready, 0, 0, Payload::Text(&text));
    if abandoned.is_cancelled() {
        // It was given up between the answer and now.
        own.session.close_unless_closed(Close::plain(Closer::Script));
    }
    let defect = tokio::select! {
        () = connect_stream::run(&own.session, stream) => false,
        () = lease.defect() => true,
    };
    drop(own);
    lease.end().await;
    let internal = if defect { INTERNAL } else { 0 };
    port.emit_terminal(WebTransportEvent::Ended, internal, 0, Payload::None);
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
    lease: Lease,
    own: Entered,
    stream: ConnectStream,
    response: ConnectResponse,
}

/// A session among those of its connection, which it leaves however its task ends.
struct Entered {
    http3: Arc<Http3>,
    session: Arc<Session>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Already so, unless the session was not granted, or its task has panicked.
        self.session.ended.cancel();
        self.http3.leave(&self.session);
    }
}

/// Why a connection does not take a session.
pub(super) enum Refused {
    /// Others have come first.
    Full,
    /// It is going away, or gone, and nobody has answered.
    Here(Cause),
    /// No other would either.
    Everywhere(Cause),
}

impl From<Cause> for Refused {
    fn from(cause: Cause) -> Self {
        Self::Everywhere(cause)
    }
}

/// Obtains a connection and a session on it: <https://www.w3.org/TR/webtransport/#obtain-a-webtransport-connection>.
async fn establish(
    target: Target,
    port: &Arc<Port>,
    environment: &Arc<Environment>,
    under_way: &UnderWay,
) -> Result<Established, Cause> {
    let Target { address, request, key } = target;
    let address = Arc::new(address);
    let mut wanted = Wanted::Any;
    loop {
        let lease = match &key {
            None => Lease::dedicated(&address, environment),
            Some(key) => Lease::pooled(key, &address, environment, wanted),
        };
        let asked = match lease.open(under_way).await {
            Ok(http3) => {
                under_way.is(Phase::Request);
                ask(&http3, &request, port).await
            }
            Err(refused) => Err(refused),
        };
        match asked {
            Ok((own, stream, response)) => {
                return Ok(Established {
                    lease,
                    own,
                    stream,
                    response,
                });
            }
            Err(Refused::Full) => wanted = Wanted::Any,
            // It was another session's; that of our own would not do better the next time.
            Err(Refused::Here(_)) if lease.joined() => wanted = Wanted::New,
            Err(Refused::Here(cause) | Refused::Everywhere(cause)) => {
                lease.end().await;
                return Err(cause);
            }
        }
    }
}

/// Asks for a session on a connection.
async fn ask(
    http3: &Arc<Http3>,
    request: &ConnectRequest,
    port: &Arc<Port>,
) -> Result<(Entered, ConnectStream, ConnectResponse), Refused> {
    let going_away = || Refused::Here(Cause::refused("the server takes no more sessions on this connection"));
    if http3.goaway().from.is_some() {
        return Err(going_away());
    }
    if http3.is_full() {
        return Err(Refused::Full);
    }
    let opened = http3.quic.open_bi().await;
    let (send, receive) = opened.map_err(|error| Refused::Here(Cause::lost(Phase::Request, &error)))?;
    let mut asking = Asking(Some(ConnectStream::new(send, receive, bytes::Bytes::new())));
    let stream = asking.stream();
    let session = http3.session(stream.id(), port.clone());
    http3.enter(&session).ok_or(Refused::Full)?;
    let own = Entered {
        http3: http3.clone(),
        session,
    };
    let headers = frame::headers(&request.encode());
    if let Err(quinn::WriteError::ConnectionLost(error)) = stream.send.write_all(&headers).await {
        return Err(Refused::Here(Cause::lost(Phase::Request, &error)));
    }
    let answered = tokio::select! {
        biased;
        answered = answer(stream, request) => answered,
        () = http3.excluded(own.session.id) => Err(Unanswered::Refused(going_away())),
    };
    match answered {
        Ok(response) => Ok((own, asking.granted(), response)),
        Err(unanswered) => {
            let refused = match unanswered {
                Unanswered::Refused(refused) => refused,
                Unanswered::Violation(violation) => {
                    stream.punish_and_flush(&http3.quic, &violation).await;
                    Refused::Everywhere(Cause::violation(Phase::Request, &violation))
                }
            };
            own.session.end(Duration::ZERO).await;
            Err(refused)
        }
    }
}

/// The stream of a request, which is taken back when nobody waits for its answer any more: quinn would finish it, and a server
/// that grants it would see a session that ends in good order.
struct Asking(Option<ConnectStream>);

impl Asking {
    fn stream(&mut self) -> &mut ConnectStream {
        self.0.as_mut().expect("it is there until the session is granted")
    }

    fn granted(mut self) -> ConnectStream {
        self.0.take().expect("a session is granted once")
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.0 {
            // What has ended already, with another code, stays so.
            stream.abort(ErrorCode::H3_REQUEST_CANCELLED);
        }
    }
}

/// Why there is no answer to a request, or none that grants a session.
enum Unanswered {
    Refused(Refused),
    /// The server broke the protocol, and is to be told.
    Violation(Violation),
}

impl From<Refused> for Unanswered {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Cause> for Unanswered {
    fn from(cause: Cause) -> Self {
        Self::Refused(cause.into())
    }
}

/// Waits for the final answer to CONNECT.
async fn answer(stream: &mut ConnectStream, request: &ConnectRequest) -> Result<ConnectResponse, Unanswered> {
    let failed = |code, message: &'static str| Cause::new(Phase::Request, code, message).into();
    loop {
        let section = match stream.next().await {
            Ok(Some(Frame::Headers(section))) => section,
            Ok(Some(Frame::Data(_))) => {
                let rule = "data before an answer";
                let violation = Violation::connection(ErrorCode::H3_FRAME_UNEXPECTED, rule);
                return Err(Unanswered::Violation(violation));
            }
            Ok(Some(Frame::Settings(_) | Frame::Goaway(_))) => unreachable!("a request's decoder refuses them"),
            Ok(None) => {
                return Err(failed(
                    "ERR_REQUEST_UNANSWERED",
                    "the server ended the stream without an answer",
                ));
            }
            // Nobody has looked at it: RFC 9114, section 4.1.1.
            Err(Broken::Reset(code)) if code == varint(ErrorCode::H3_REQUEST_REJECTED) => {
                return Err(Refused::Here(Cause::refused("the server takes no more sessions")).into());
            }
            Err(Broken::Lost(error)) => return Err(Refused::Here(Cause::lost(Phase::Request, &error)).into()),
            Err(Broken::Violation(violation)) => return Err(Unanswered::Violation(violation)),
            Err(broken @ Broken::Reset(_)) => return Err(broken.cause(Phase::Request).into()),
        };
        let response = match ConnectResponse::decode(&section) {
            Ok(response) => response,
            Err(MessageError::Malformed(violation)) => return Err(Unanswered::Violation(violation)),
            Err(MessageError::TooLarge) => {
                return Err(failed("ERR_REQUEST_HEADERS", "the server's headers are too large"));
            }
        };
        match response.status {
            100..200 => {}
            200..300 => {
                let chosen = response.protocol.as_ref();
                if chosen.is_some_and(|protocol| !request.protocols.contains(protocol)) {
                    return Err(failed(
                        "ERR_REQUEST_PROTOCOL",
                        "the server chose a protocol that was not on offer",
                    ));
                }
                return Ok(response);
            }
            // Redirects are never followed.
            status => return Err(Cause::status(status).into()),
        }
    }
}

#[cfg(test)]
mod trust_tests;
