//! The clients that a server does not let in, and why: its operator hears of them on a diagnostics channel.
//!
//! Anybody can send what is refused, as much as the network carries. So JavaScript is told once that some wait, at most once
//! in a millisecond, and takes all that do; only so many are kept ([`WAITING`]), and the others counted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cause::{Cause, Phase};
use super::connect_stream::Broken;
use super::session::WebTransportEvent;
use crate::hub::{Payload, Port, Wake};

/// How many wait for JavaScript. It takes them within milliseconds; where more come meanwhile, these tell enough.
const WAITING: usize = 64;

/// A server has as many connections as it may have.
pub(super) const TOO_MANY_CONNECTIONS: Cause = Cause::fixed(
    Phase::Connect,
    "ERR_TOO_MANY_CONNECTIONS",
    "as many clients as may be are there",
);
/// As many connections are in the handshake as may be.
pub(super) const TOO_MANY_HANDSHAKES: Cause = Cause::fixed(
    Phase::Connect,
    "ERR_TOO_MANY_HANDSHAKES",
    "as many clients as may be are in their handshake",
);
/// A connection's handshake has not come to its end.
pub(super) const SLOW_HANDSHAKE: Cause = Cause::fixed(Phase::Connect, "ETIMEDOUT", "the time for the handshake is up");
/// A client that asks for a session has sent no SETTINGS.
pub(super) const NO_SETTINGS: Cause = Cause::fixed(
    Phase::Settings,
    "ETIMEDOUT",
    "the client has not said in time what it understands",
);
/// A request has not come to the end of its headers.
pub(super) const SLOW_REQUEST: Cause = Cause::fixed(Phase::Handshake, "ETIMEDOUT", "the time for the request is up");
/// A request has ended before its headers.
pub(super) const NO_REQUEST: Cause = Cause::fixed(Phase::Handshake, "EOF", "the request ends before its headers");
/// The client needs no answer any more.
pub(super) const TAKEN_BACK: Cause =
    Cause::fixed(Phase::Handshake, "ECONNRESET", "the client has taken its request back");
/// The connection has as many sessions as it may have.
pub(super) const TOO_MANY_SESSIONS: Cause = Cause::fixed(
    Phase::Handshake,
    "ERR_TOO_MANY_SESSIONS",
    "the connection has as many sessions as it may have",
);
/// As many requests are without an answer as may be; also of one connection, before anybody could look at them.
pub(super) const TOO_MANY_REQUESTS: Cause = Cause::fixed(
    Phase::Handshake,
    "ERR_TOO_MANY_REQUESTS",
    "as many requests as may be wait for their answer",
);
/// A plain request where nobody answers such.
pub(super) const NOT_SERVED: Cause = Cause::fixed(
    Phase::Handshake,
    "ERR_NOT_SERVED",
    "the server has no onRequest for plain requests",
)
.with_status(404);

/// The server closes.
pub(super) const fn closing(phase: Phase) -> Cause {
    Cause::fixed(phase, "ERR_SERVER_CLOSED", "the server closes")
}

/// A sound request that gets this answer from us.
pub(super) const fn unserved(status: u16) -> Cause {
    let message = match status {
        421 => "the request is for another scheme than https",
        431 => "the request's headers are too long",
        501 => "the request is for what the server does not do",
        _ => "the request can't be served",
    };
    Cause::fixed(Phase::Handshake, "ERR_HANDSHAKE_REQUEST", message).with_status(status)
}

/// A request that came to nothing on its stream.
pub(super) fn broken(broken: &Broken) -> Cause {
    match broken {
        Broken::Reset(_) => TAKEN_BACK,
        Broken::Lost(_) | Broken::Violation(_) => broken.cause(Phase::Handshake),
    }
}

/// Those of a server that JavaScript has not heard of.
pub(super) struct Refusals {
    port: Arc<Port>,
    waiting: Mutex<Waiting>,
}

/// The first ones since JavaScript has looked.
#[derive(Default)]
pub(super) struct Waiting {
    clients: Vec<(SocketAddr, Cause)>,
    /// How many came behind them.
    pub(super) more: u32,
}

impl Waiting {
    /// As JavaScript reads them: see [`Cause::of_client`].
    pub(super) fn texts(&self) -> Vec<String> {
        self.clients
            .iter()
            .map(|(client, cause)| cause.of_client(*client))
            .collect()
    }
}

impl Refusals {
    /// Those of the listener that `port` leads up from.
    pub(super) fn new(port: Arc<Port>) -> Self {
        Self {
            port,
            waiting: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was not let in.
    pub(super) fn add(&self, client: SocketAddr, cause: Cause) {
        {
            let mut waiting = self.lock();
            if waiting.clients.len() == WAITING {
                waiting.more = waiting.more.saturating_add(1);
                return;
            }
            waiting.clients.push((client, cause));
            if waiting.clients.len() > 1 {
                // JavaScript knows that some wait.
                return;
            }
        }
        // Whoever is not there to hear it needs nothing.
        let _heard = self
            .port
            .emit_by(Wake::Soon, WebTransportEvent::Refused, 0, 0, Payload::None);
    }

    /// Takes those that wait.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::testing::Ear;

    #[tokio::test]
    async fn one_event_for_all_that_wait_and_the_others_are_counted() {
        let mut ear = Ear::new();
        let refusals = Refusals::new(ear.port(1));
        let client = SocketAddr::from(([127, 0, 0, 1], 5));
        for _ in 0..2 {
            for _ in 0..WAITING + 3 {
                refusals.add(client, unserved(421));
            }
            let heard = ear.next().await;
            assert_eq!(heard.event, i32::from(WebTransportEvent::Refused));
            let waiting = refusals.take();
            let text =
                "421\0handshake\0ERR_HANDSHAKE_REQUEST\x00127.0.0.1\x005\0the request is for another scheme than https";
            assert_eq!(waiting.texts(), vec![text; WAITING]);
            assert_eq!(waiting.more, 3);
        }
        refusals
            .port
            .emit(WebTransportEvent::ListenerEnded, 0, 0, Payload::None);
        // Nothing stands between.
        assert_eq!(ear.next().await.event, i32::from(WebTransportEvent::ListenerEnded));
    }
}
