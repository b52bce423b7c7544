//! A request at a server, from its first byte to its answer.
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-3>

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::Connection;
use tokio::sync::oneshot;

use super::cause::{Cause, Phase};
use super::client::text_of;
use super::connect_stream::{self, Broken, ConnectStream};
use super::established::Session;
use super::http3::Field;
use super::http3::Violation;
use super::http3::connect::{ConnectRequest, ConnectResponse, MessageError};
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Frame, LONG_HEADERS};
use super::http3::request::Request;
use super::limits::CLOSE_TIMEOUT;
use super::listener::Shared;
use super::plain_request;
use super::refusals::{
    NO_REQUEST, NO_SETTINGS, SLOW_REQUEST, TAKEN_BACK, TOO_MANY_REQUESTS, TOO_MANY_SESSIONS, broken, closing, unserved,
};
use super::request_stream::Offer;
use super::session::WebTransportEvent;
use super::task::Http3;
use crate::hub::Payload;

/// The requests of a server that wait for an answer, by the keys that JavaScript knows.
#[derive(Default)]
pub(super) struct Requests {
    /// For sessions.
    pub(super) waiting: HashMap<u32, Waiting>,
    /// Plain ones, until JavaScript takes them, which it does at once.
    pub(super) offers: HashMap<u32, Offer>,
    last_key: u32,
}

impl Requests {
    fn key(&mut self) -> u32 {
        self.last_key = self.last_key.wrapping_add(1);
        self.last_key
    }

    /// Keeps a plain request for JavaScript and says under which key.
    pub(super) fn offer(&mut self, offer: Offer) -> u32 {
        let key = self.key();
        self.offers.insert(key, offer);
        key
    }
}

/// A request that the application has not answered.
pub(super) struct Waiting {
    pub(super) http3: Arc<Http3>,
    /// The number of its stream.
    pub(super) id: u64,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What the application answers.
pub(super) enum Answer {
    /// Hands the request's stream to the session's task.
    Accept(oneshot::Sender<ConnectStream>),
    Reject(ConnectResponse, String),
}

/// One request, from its first byte to its answer. `client` is what TLS says of whoever asks.
pub(super) async fn serve(
    shared: Arc<Shared>,
    http3: Arc<Http3>,
    client: Arc<[String]>,
    mut stream: ConnectStream,
    unheard: Unheard,
) {
    let id = stream.id();
    let first = tokio::select! {
        biased;
        first = tokio::time::timeout(shared.limits.handshake_timeout, stream.next()) => first,
        () = shared.closed() => return unheard.reject(&mut stream, closing(Phase::Handshake), ErrorCode::H3_REQUEST_REJECTED),
    };
    let response = match first {
        Ok(Ok(Some(Frame::Headers(section)))) => match Request::decode(&section) {
            Ok(Request::WebTransport(request)) => return ask(shared, http3, &client, stream, request, unheard).await,
            Ok(Request::Plain(request)) => {
                return plain_request::serve(shared, http3, &client, stream, request, unheard).await;
            }
            Ok(Request::Unserved { status }) => status,
            Err(MessageError::TooLarge) => 431,
            Err(MessageError::Malformed(violation)) => return unheard.punish(&mut stream, &violation),
        },
        Ok(Err(Broken::Violation(LONG_HEADERS))) => {
            // An answer is whole without the rest of the request: RFC 9114, section 4.1.
            stream.stop(ErrorCode::H3_NO_ERROR);
            431
        }
        Ok(Err(Broken::Violation(violation))) => return unheard.punish(&mut stream, &violation),
        Ok(Err(Broken::Reset(_))) => {
            unheard.refused(TAKEN_BACK);
            return given_up(&http3, &mut stream);
        }
        Ok(Ok(Some(Frame::Data(_)))) => return unheard.punish(&mut stream, &DATA_FIRST),
        Ok(Ok(_)) => return unheard.reject(&mut stream, NO_REQUEST, ErrorCode::H3_REQUEST_INCOMPLETE),
        Ok(Err(lost @ Broken::Lost(_))) => {
            return unheard.reject(&mut stream, broken(&lost), ErrorCode::H3_REQUEST_INCOMPLETE);
        }
        Err(_elapsed) => return unheard.reject(&mut stream, SLOW_REQUEST, ErrorCode::H3_REQUEST_INCOMPLETE),
    };
    unheard.refused(unserved(response));
    http3.refuse(id);
    answer_status(&mut stream, response).await;
}

const DATA_FIRST: Violation = Violation::connection(ErrorCode::H3_FRAME_UNEXPECTED, "a request begins with HEADERS");

/// Why a connection has ended; if it has not, the server has.
fn lost(http3: &Http3) -> Cause {
    let error = http3.quic.close_reason();
    error.map_or(closing(Phase::Handshake), |error| Cause::lost(Phase::Handshake, &error))
}

/// A request of which neither the application nor the operator has heard. If it is dropped its task is: its connection has
/// ended, or the server.
pub(super) struct Unheard(Option<Arc<Http3>>);

impl Unheard {
    /// One that has just come.
    pub(super) fn new(http3: &Arc<Http3>) -> Self {
        Self(Some(http3.clone()))
    }

    /// The application hears of it now.
    pub(super) fn heard(mut self) {
        self.0 = None;
    }

    /// It gets another answer than the application's, or none.
    pub(super) fn refused(mut self, cause: Cause) {
        if let Some(http3) = self.0.take() {
            http3.report(cause);
        }
    }

    /// Refuses it without an answer.
    fn reject(mut self, stream: &mut ConnectStream, cause: Cause, code: ErrorCode) {
        if let Some(http3) = self.0.take() {
            http3.report(cause);
            http3.refuse(stream.id());
        }
        stream.abort(code);
    }

    /// Refuses it, since it breaks a rule.
    fn punish(mut self, stream: &mut ConnectStream, violation: &Violation) {
        if let Some(http3) = self.0.take() {
            http3.report(Cause::violation(Phase::Handshake, violation));
            http3.refuse(stream.id());
            stream.punish(&http3.quic, violation);
        }
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(http3) = &self.0 {
            http3.report(lost(http3));
        }
    }
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
async fn ask(
    shared: Arc<Shared>,
    http3: Arc<Http3>,
    client: &[String],
    mut stream: ConnectStream,
    request: ConnectRequest,
    unheard: Unheard,
) {
    let id = stream.id();
    // Only the client's SETTINGS say whether its sessions can share the connection; they may come after the request.
    let settings = tokio::select! {
        biased;
        settings = tokio::time::timeout(shared.limits.handshake_timeout, http3.peer_settings()) => settings,
        () = shared.closed() => return unheard.reject(&mut stream, closing(Phase::Handshake), ErrorCode::H3_REQUEST_REJECTED),
    };
    let ungrantable = match settings {
        Ok(Some(_)) if http3.is_full() => Some(TOO_MANY_SESSIONS),
        Ok(Some(_)) => None,
        Ok(None) => Some(lost(&http3)),
        Err(_elapsed) => Some(NO_SETTINGS),
    };
    if let Some(cause) = ungrantable {
        // One that cannot be granted costs as much as one that is taken back: there may be as many.
        unheard.refused(cause);
        return given_up(&http3, &mut stream);
    }
    let Some(_pending) = Counted::within(&shared.pending, shared.limits.pending_requests) else {
        unheard.refused(TOO_MANY_REQUESTS.with_status(503));
        http3.refuse(id);
        return answer_status(&mut stream, 503).await;
    };
    let (answering, mut answered) = oneshot::channel();
    let entry = {
        let waiting = Waiting {
            http3: http3.clone(),
            id,
            answer: answering,
        };
        let mut requests = shared.requests();
        // Under the lock: those that wait when the server closes are let go once.
        if shared.is_closing() {
            return unheard.reject(&mut stream, closing(Phase::Handshake), ErrorCode::H3_REQUEST_REJECTED);
        }
        let key = requests.key();
        requests.waiting.insert(key, waiting);
        unheard.heard();
        let shared = shared.clone();
        Entry { shared, key }
    };
    let text = request_text(&request, &http3.quic, client);
    shared
        .port
        .emit(WebTransportEvent::Request, entry.key, 0, Payload::Text(&text));
    let deadline = tokio::time::sleep(shared.limits.request_timeout);
    let mut deadline = std::pin::pin!(deadline);
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut answered => break outcome.ok(),
            () = &mut deadline => {
                http3.refuse(id);
                return answer_status(&mut stream, 503).await;
            }
            // Capsules before the answer would be early data for a session that nobody granted yet.
            frame = stream.next() => match frame {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(Broken::Violation(violation)) => {
                    http3.refuse(id);
                    return stream.punish(&http3.quic, &violation);
                }
                Err(Broken::Reset(_)) => return given_up(&http3, &mut stream),
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
        Some(Answer::Accept(handing)) => {
            if let Err(mut stream) = handing.send(stream) {
                // The session's environment has ended.
                stream.abort(ErrorCode::H3_REQUEST_REJECTED);
            }
        }
    }
}

/// One of so many, until it is dropped.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    /// `None` when there are as many as there may be.
    pub(super) fn within(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let counted = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < limit).then_some(counted)
    }

    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The life of a session that the application has accepted.
pub(super) async fn live(
    shared: Arc<Shared>,
    session: Arc<Session>,
    http3: Arc<Http3>,
    handed: oneshot::Receiver<ConnectStream>,
    response: ConnectResponse,
) {
    let _counted = Counted::new(&shared.sessions);
    if let Ok(mut stream) = handed.await {
        let headers = frame::headers(&response.encode());
        // An error means that the client has gone: the session's stream says so.
        let _gone = stream.send.write_all(&headers).await;
        connect_stream::run(&session, stream).await;
    } else {
        session.end(Duration::ZERO).await;
        Cause::new(Phase::Request, "ERR_REQUEST_GONE", "the client has gone").emit(&session.port);
    }
    http3.leave(&session);
    session
        .port
        .emit_terminal(WebTransportEvent::Ended, 0, 0, Payload::None);
}

/// Answers a request that becomes no session.
async fn answer(stream: &mut ConnectStream, response: &ConnectResponse, body: &str) {
    let mut bytes = frame::headers(&response.encode());
    if !body.is_empty() {
        bytes.extend_from_slice(&frame::data(body.as_bytes()));
    }
    // Errors mean that the client does not want the answer.
    if stream.send.write_all(&bytes).await.is_ok() && stream.send.finish().is_ok() {
        let _acknowledged = tokio::time::timeout(CLOSE_TIMEOUT, stream.send.stopped()).await;
    }
}

/// A final answer without content.
pub(super) fn status_bytes(status: u16) -> Vec<u8> {
    let response = ConnectResponse {
        status,
        ..ConnectResponse::default()
    };
    frame::headers(&response.encode_plain())
}

/// Answers a request that nobody looks at.
pub(super) async fn answer_status(stream: &mut ConnectStream, status: u16) {
    let response = ConnectResponse {
        status,
        ..ConnectResponse::default()
    };
    answer(stream, &response, "").await;
}

/// Where a client is, as JavaScript reads it.
pub(super) fn address_lines(quic: &Connection) -> [String; 2] {
    let remote = quic.remote_address();
    [remote.ip().to_canonical().to_string(), remote.port().to_string()]
}

/// A request as JavaScript reads it, in lines; no part can hold a line's end.
fn request_text(request: &ConnectRequest, quic: &Connection, client: &[String]) -> String {
    let mut lines = vec![request.authority.clone(), request.path.clone()];
    lines.extend(address_lines(quic));
    lines.extend_from_slice(client);
    lines.push(request.protocols.len().to_string());
    lines.extend(request.protocols.iter().cloned());
    for Field { name, value } in &request.headers {
        lines.push(format!("{}: {}", text_of(name), text_of(value)));
    }
    lines.join("\n")
}
