//! The senders of a session take turns at QUIC: what [`super::scheduler`] decides, done.
//!
//! As long as no sender has a send group or a send order, QUIC itself serves the streams alike and nobody asks here. Then
//! QUIC is let hold only a little that it has not sent, since what it holds is out of the scheduler's hands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use quinn::Connection;
use tokio::sync::Notify;

use super::limits::QUEUED_BYTES;
use super::scheduler::{NOBODY, Place, Scheduler};
use super::underlying::Underlying;

/// The most that is handed over in one turn.
pub(crate) const PIECE: usize = 16 * 1024;
/// What QUIC may hold beyond its congestion window while turns are taken: enough never to wait for us.
const UNSENT: u64 = 32 * 1024;

/// How much QUIC may hold of a connection until that is acknowledged.
pub(crate) struct SendWindow {
    connection: Connection,
    /// What it may hold where no turns are taken, and at most.
    limit: AtomicU64,
    /// Sessions in which turns are taken.
    users: AtomicUsize,
}

impl SendWindow {
    /// The window of a connection with the limit of [`super::limits`].
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            limit: AtomicU64::new(QUEUED_BYTES.into()),
            users: AtomicUsize::new(0),
        }
    }

    /// The connection has another limit.
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// What it may hold now that turns are taken.
    fn narrow(&self) -> u64 {
        let congestion = self.connection.stats().path.cwnd;
        congestion
            .saturating_add(UNSENT)
            .min(self.limit.load(Ordering::Relaxed))
    }

    fn enter(&self) {
        self.users.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.connection.set_send_window(self.limit.load(Ordering::Relaxed));
        }
    }
}

/// Where the senders of a session wait for their turn.
pub(crate) struct Turnstile {
    underlying: Arc<Underlying>,
    /// How many have a place of their own.
    placed: AtomicUsize,
    /// Datagrams have had a place of their own, and so may again.
    datagrams: OnceLock<()>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    scheduler: Scheduler,
    bells: HashMap<u32, Bell>,
    /// What QUIC may hold now; 0 before that is known.
    window: u64,
}

/// How a sender is told that its turn has come.
struct Bell {
    notify: Arc<Notify>,
    /// It has been, and has not looked since.
    rung: bool,
}

impl Line {
    /// Tells whoever's turn it is, unless that is the one who asks.
    fn ring(&mut self, asking: u32) {
        if let Some(next) = self.scheduler.next()
            && next != asking
            && let Some(bell) = self.bells.get_mut(&next)
        {
            bell.rung = true;
            bell.notify.notify_one();
        }
    }
}

impl Turnstile {
    /// A line in which nobody stands.
    pub(crate) fn new(underlying: Arc<Underlying>) -> Self {
        Self {
            underlying,
            placed: AtomicUsize::new(0),
            datagrams: OnceLock::new(),
            line: Mutex::default(),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether turns are taken at all.
    pub(crate) fn is_used(&self) -> bool {
        self.placed.load(Ordering::Acquire) > 0
    }

    /// A sender has moved. From the first place of its own to the last, turns are taken.
    pub(crate) fn moved(&self, from: Place, to: Place) {
        let nowhere = Place::default();
        if from == nowhere && to != nowhere {
            if self.placed.fetch_add(1, Ordering::AcqRel) == 0 {
                self.line().window = 0;
                self.underlying.send_window.enter();
            }
        } else if from != nowhere && to == nowhere && self.placed.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.underlying.send_window.leave();
            for bell in self.line().bells.values() {
                bell.notify.notify_one();
            }
        }
    }

    /// A datagram goes out from that place.
    pub(crate) fn used_by_datagrams(&self, place: Place) {
        if place != Place::default() && self.datagrams.set(()).is_ok() {
            self.moved(Place::default(), place);
        }
    }

    /// Adds a sender, which hears by the bell that its turn has come.
    pub(crate) fn enter(&self, place: Place, notify: Arc<Notify>) -> Turn {
        let mut line = self.line();
        let id = line.scheduler.enter(place);
        line.bells.insert(id, Bell { notify, rung: false });
        Turn {
            id,
            place,
            in_vain: false,
            overtaking: false,
        }
    }

    /// Takes a sender out.
    pub(crate) fn leave(&self, turn: &Turn) {
        let mut line = self.line();
        line.scheduler.leave(turn.id);
        line.bells.remove(&turn.id);
        line.ring(turn.id);
    }

    /// What the sender hands over next goes before all places: [`Scheduler::hasten`].
    pub(crate) fn hasten(&self, turn: &Turn) {
        self.line().scheduler.hasten(turn.id);
    }

    /// The sender has nothing to hand over.
    pub(crate) fn rest(&self, turn: &Turn) {
        let mut line = self.line();
        line.scheduler.rest(turn.id);
        line.ring(turn.id);
    }

    /// Hands over a piece with `write`, which says how many bytes that was, if it is the sender's turn. Pending when it is
    /// not: the bell will ring; or when QUIC has no room: it wakes whoever polled `write`.
    pub(crate) fn poll_write<Outcome>(
        &self,
        turn: &mut Turn,
        place: Place,
        write: impl FnOnce() -> Poll<(u64, Outcome)>,
    ) -> Poll<Outcome> {
        // Held over `write`, so that nobody else is chosen meanwhile. QUIC's own lock is always the inner one.
        let mut line = self.line();
        if turn.place != place {
            turn.place = place;
            line.scheduler.move_to(turn.id, place);
        }
        line.scheduler.wait(turn.id);
        let rung = line
            .bells
            .get_mut(&turn.id)
            .is_some_and(|bell| std::mem::take(&mut bell.rung));
        // Who comes without having been called, after QUIC had no room, may have been woken by QUIC.
        if (std::mem::take(&mut turn.in_vain) && !rung) || line.window == 0 {
            self.may_have_room(&mut line);
        }
        if line.scheduler.next() != Some(turn.id) {
            line.ring(turn.id);
            return Poll::Pending;
        }
        let outcome = match write() {
            Poll::Ready((bytes, outcome)) => {
                line.scheduler.wrote(turn.id, bytes);
                turn.overtaking = line.scheduler.overtakes(turn.id);
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                turn.in_vain = true;
                line.scheduler.blocked(turn.id);
                Poll::Pending
            }
        };
        line.ring(turn.id);
        outcome
    }

    /// The place whose turn it is, if that is one of these senders, each of which has as many bytes as `length` says, and room
    /// for them. All of them wait; where it is somebody else's turn their bell will ring.
    pub(crate) fn take_turn(&self, senders: &HashMap<Place, Turn>, length: impl Fn(Place) -> u64) -> Option<Place> {
        let mut line = self.line();
        if line.window == 0 {
            self.may_have_room(&mut line);
        }
        for turn in senders.values() {
            line.scheduler.wait(turn.id);
        }
        let next = line.scheduler.next();
        let turn = senders.iter().find(|(_, turn)| Some(turn.id) == next);
        let place = turn.map(|(place, _)| *place);
        if let (Some(place), Some(next)) = (place, next) {
            line.scheduler.wrote(next, length(place));
        }
        line.ring(NOBODY);
        place
    }

    /// QUIC may have room again, and is let hold as much as it can make use of now.
    fn may_have_room(&self, line: &mut Line) {
        line.scheduler.unblock();
        let window = self.underlying.send_window.narrow();
        if line.window != window {
            line.window = window;
            self.underlying.send_window.connection.set_send_window(window);
        }
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        if self.is_used() {
            self.underlying.send_window.leave();
        }
    }
}

/// A sender in the line; it belongs to one [`Turnstile`], and is to [`Turnstile::leave`] it.
#[derive(Debug)]
pub(crate) struct Turn {
    id: u32,
    place: Place,
    /// QUIC had no room when it last had its turn.
    in_vain: bool,
    /// It has handed over a piece, and a higher order could not: see [`Turn::must_pause`].
    overtaking: bool,
}

impl Turn {
    /// Whether others have to run before its next piece. QUIC may have got room just after a higher order found none: it
    /// has told that one, which looks again then. One piece is all that the lower order has been ahead.
    pub(crate) fn must_pause(&mut self) -> bool {
        std::mem::take(&mut self.overtaking)
    }
}

#[cfg(test)]
mod tests;
