//! Keep-alive: a peer that is gone without a word is found by pings that nothing answers
//! ([RFC 6455 section 5.5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2)).

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::{Driver, Stage};
use crate::websocket::outgoing::KEEP_ALIVE_PING;

/// How often a peer is asked for a sign of life, and how long it has for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// One peer's.
///
/// ```text
///  Resting ──interval: a ping──▶ Asking ──a sign of life──▶ Resting
///                                  │ ▲ └─timeout──▶ dead
///                                  └─┘ timeout, and no sign could come
/// ```
pub(super) struct Pulse {
    times: KeepAlive,
    timer: Pin<Box<Sleep>>,
    asking: bool,
    /// Since the ping: the peer sent something.
    pub(super) heard: bool,
    /// Since the ping, or the last look: the peer took something.
    pub(super) took: bool,
}

impl Pulse {
    pub(super) fn new(times: KeepAlive) -> Self {
        Self {
            times,
            timer: Box::pin(sleep(times.interval)),
            asking: false,
            heard: false,
            took: false,
        }
    }

    fn set(&mut self, after: Duration) {
        self.took = false;
        self.timer.as_mut().reset(Instant::now() + after);
    }
}

impl Driver {
    /// Asks the peer when it is time; says whether it has had its time to answer. While the connection closes, that has a
    /// time limit of its own.
    pub(super) fn peer_is_dead(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stage != Stage::Open {
            return false;
        }
        // What the script has no room for is not read, so no sign of life can be seen; and behind data that a slow peer
        // still takes, the ping has to wait.
        let deaf = self.paused || !self.port.has_room();
        let unwritten = !self.writing.is_empty() || self.link.outgoing.lock().waits();
        while let Some(pulse) = &mut self.pulse {
            if pulse.asking && pulse.heard {
                pulse.asking = false;
                pulse.set(pulse.times.interval);
            }
            if pulse.timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            if !pulse.asking {
                pulse.asking = true;
                pulse.heard = false;
                pulse.set(pulse.times.timeout);
                self.link.outgoing.lock().ask(KEEP_ALIVE_PING);
                // To write it.
                cx.waker().wake_by_ref();
            } else if deaf || (unwritten && pulse.took) {
                pulse.set(pulse.times.timeout);
            } else {
                return true;
            }
        }
        false
    }
}
