//! A listener's task: its QUIC endpoint, who is let into the handshake, and the life of each connection.

use std::sync::Arc;

use quinn::{Incoming, ServerConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::cause::{Cause, Phase};
use super::connect_stream::ConnectStream;
use super::endpoint;
use super::http3::error_code::ErrorCode;
use super::limits::Role;
use super::listener::Shared;
use super::refusals::{SLOW_HANDSHAKE, TOO_MANY_CONNECTIONS, TOO_MANY_HANDSHAKES, closing};
use super::request::{self, Unheard};
use super::session::WebTransportEvent;
use super::task::{End, Http3};
use crate::error::Error;
use crate::hub::Payload;

/// Listens until the server is closed and its connections have ended.
pub(super) async fn run(shared: Arc<Shared>, config: ServerConfig, host: String, port: u16) {
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
                        turn_away(&shared, incoming, TOO_MANY_CONNECTIONS);
                    } else if let Some((incoming, handshake)) = admit(incoming, &handshakes, &shared) {
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
            Some(incoming) = endpoint.accept() => turn_away(&shared, incoming, closing(Phase::Connect)),
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
fn admit(incoming: Incoming, handshakes: &Arc<Semaphore>, shared: &Shared) -> Option<(Incoming, OwnedSemaphorePermit)> {
    let limits = &shared.limits;
    let running = limits.pending_handshakes - handshakes.available_permits();
    if running >= limits.unproven_handshakes && !incoming.remote_address_validated() {
        // An address that has not been shown can be asked for.
        let _asked = incoming.retry();
        return None;
    }
    match handshakes.clone().try_acquire_owned() {
        Ok(handshake) => Some((incoming, handshake)),
        Err(_full) => {
            turn_away(shared, incoming, TOO_MANY_HANDSHAKES);
            None
        }
    }
}

/// Refuses a connection, which its operator hears of.
fn turn_away(shared: &Shared, incoming: Incoming, cause: Cause) {
    shared.refusals.add(incoming.remote_address(), cause);
    incoming.refuse();
}

/// The life of one connection.
async fn serve(shared: Arc<Shared>, incoming: Incoming, handshake: OwnedSemaphorePermit) {
    let address = incoming.remote_address();
    let refused = |cause| shared.refusals.add(address, cause);
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => return refused(Cause::lost(Phase::Connect, &error)),
    };
    let quic = tokio::select! {
        quic = tokio::time::timeout(shared.limits.handshake_timeout, connecting) => quic,
        () = shared.closed() => return refused(closing(Phase::Connect)),
    };
    let quic = match quic {
        Ok(Ok(quic)) => quic,
        Ok(Err(error)) => return refused(Cause::lost(Phase::Connect, &error)),
        Err(_elapsed) => return refused(SLOW_HANDSHAKE),
    };
    drop(handshake);
    let client: Arc<[String]> = shared.client_tls(&quic).into();
    let shares = shared.limits.connection.shares(shared.limits.sessions_per_connection);
    let (http3, mut received) = Http3::new(quic.clone(), Role::Server, shares);
    http3.report_to(shared.refusals.clone());
    http3.underlying.allow(shared.limits.connection.streams);
    let window = &http3.underlying.send_window;
    window.set_limit(shared.limits.connection.queued_bytes.into());
    let mut requests = JoinSet::new();
    let mut serving = std::pin::pin!(http3.clone().serve());
    let mut leaving = false;
    let mut ending = false;
    let end = loop {
        tokio::select! {
            end = &mut serving => break Some(end),
            Some(stream) = received.recv() => {
                if leaving {
                    refuse(&http3, *stream);
                } else {
                    let unheard = Unheard::new(&http3);
                    let serving = request::serve(shared.clone(), http3.clone(), client.clone(), *stream, unheard);
                    requests.spawn(serving);
                }
            }
            Some(_answered) = requests.join_next() => {}
            () = shared.closed(), if !leaving => {
                leaving = true;
                http3.go_away();
            }
            close = shared.expired(), if !ending => {
                ending = true;
                http3.close_sessions(&close);
                // Those that are without an answer, and answers that are not whole.
                requests.abort_all();
            }
            // Requests that are being answered may still become sessions.
            () = http3.emptied(), if leaving && requests.is_empty() => break None,
        }
    };
    let cause = || match &end {
        Some(End::Lost(error)) => Cause::lost(Phase::Handshake, error),
        Some(End::Violation(violation)) => Cause::violation(Phase::Handshake, violation),
        None => closing(Phase::Handshake),
    };
    if !http3.was_asked() {
        http3.report(cause());
    }
    // Those that have come last; of the others each is told of by itself.
    while received.try_recv().is_ok() {
        http3.report(cause());
    }
    super::task::shut_down(&quic).await;
}

fn refuse(http3: &Http3, mut stream: ConnectStream) {
    http3.report(closing(Phase::Handshake));
    http3.refuse(stream.id());
    stream.abort(ErrorCode::H3_REQUEST_REJECTED);
}
