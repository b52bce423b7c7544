//! The sessions of a connection, and which of its streams belongs to which.
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-4>

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::established::{Close, Session, discard};
use super::http3::error_code::ErrorCode;
use super::http3::flow_control::Limits;
use super::limits::{EARLY_STREAMS, Role};
use super::streams::{Direction, Stream};
use super::task::Http3;

/// Packets overtake each other: a request whose number is less than so many requests behind may still come.
const LATE_REQUESTS: u64 = 64;

#[derive(Default)]
pub(super) struct Sessions {
    live: HashMap<u64, Arc<Session>>,
    /// Requests that have no answer yet. QUIC's limit on open streams bounds them.
    asked: BTreeSet<u64>,
    /// Sessions that have ended and requests that became none, of the last [`LATE_REQUESTS`].
    gone: BTreeSet<u64>,
    /// The number after the last request's.
    next: u64,
    /// Streams that came before their session was granted.
    early: Vec<(u64, Direction, Stream)>,
}

impl Sessions {
    fn asked(&mut self, id: u64) {
        self.asked.insert(id);
        self.next = self.next.max(id + 4);
    }

    fn ended(&mut self, id: u64) {
        self.asked.remove(&id);
        self.next = self.next.max(id + 4);
        self.gone.insert(id);
        self.gone = self.gone.split_off(&self.first_late());
    }

    /// How many have not ended; some may still wait for the peer to take note of their end.
    fn count(&self) -> usize {
        self.live
            .values()
            .filter(|session| !session.ended.is_cancelled())
            .count()
    }

    /// No request that has not come yet has a lower number.
    fn first_late(&self) -> u64 {
        self.next.saturating_sub(LATE_REQUESTS * 4)
    }

    /// Whether a session of that number may still be granted.
    fn may_come(&self, id: u64, us: Role) -> bool {
        match us {
            // Its own sessions are there before it asks for them.
            Role::Client => false,
            Role::Server => self.asked.contains(&id) || id >= self.first_late() && !self.gone.contains(&id),
        }
    }

    fn take_early(&mut self, id: u64) -> Vec<(u64, Direction, Stream)> {
        self.early.extract_if(.., |(early, ..)| *early == id).collect()
    }
}

impl Http3 {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of that number, while it lives.
    pub(super) fn live(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions().live.get(&id).cloned()
    }

    /// All sessions that live.
    pub(super) fn all_live(&self) -> Vec<Arc<Session>> {
        self.sessions().live.values().cloned().collect()
    }

    /// What each session may use up, ours and the peer's: in force where both have said that they want limits.
    pub(crate) fn limits(&self) -> Option<(Limits, Limits)> {
        let theirs = self.settings.borrow().filter(|settings| settings.flow_control)?;
        Some((self.shares.each?, theirs.initial))
    }

    /// How many sessions may share the connection, by what both ends have said.
    pub(crate) fn max_sessions(&self) -> usize {
        let theirs = self.settings.borrow().map_or(0, |settings| settings.max_sessions);
        match (self.limits(), self.role) {
            (None, _) => 1,
            (Some(_), Role::Server) => self.shares.sessions,
            (Some(_), Role::Client) => self.shares.sessions.min(usize::try_from(theirs).unwrap_or(usize::MAX)),
        }
    }

    /// Whether the connection has as many sessions as it may have.
    pub(crate) fn is_full(&self) -> bool {
        self.sessions().count() >= self.max_sessions()
    }

    /// A request has come, which [`Http3::enter`] or [`Http3::refuse`] answers. False when no more are looked at.
    pub(super) fn asked(&self, id: u64) -> bool {
        let wanted = !*self.leaving.borrow();
        self.sessions().asked(id);
        wanted
    }

    /// Whether a request has come, whatever became of it.
    pub(super) fn was_asked(&self) -> bool {
        self.sessions().next > 0
    }

    /// Enters a session, which gets the streams that came before it. `None` when the connection has too many.
    pub(crate) fn enter(&self, session: &Arc<Session>) -> Option<()> {
        let max_sessions = self.max_sessions();
        let early = {
            let mut sessions = self.sessions();
            if sessions.count() >= max_sessions {
                return None;
            }
            sessions.asked(session.id);
            sessions.asked.remove(&session.id);
            sessions.live.insert(session.id, session.clone());
            sessions.take_early(session.id)
        };
        for (_, direction, stream) in early {
            session.deliver(direction, stream);
        }
        if *self.leaving.borrow() {
            session.drain();
        }
        Some(())
    }

    /// A request has come that is no session, or was refused: streams for it are not waited for.
    pub(crate) fn refuse(&self, id: u64) {
        let early = {
            let mut sessions = self.sessions();
            sessions.ended(id);
            sessions.take_early(id)
        };
        for (.., stream) in early {
            discard(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }

    /// Takes a session out.
    pub(crate) fn leave(&self, session: &Session) {
        let mut sessions = self.sessions();
        sessions.live.remove(&session.id);
        sessions.ended(session.id);
        if sessions.live.is_empty() {
            self.emptied.notify_one();
        }
    }

    /// Waits until no session lives on the connection. Cancel safe.
    pub(crate) async fn emptied(&self) {
        while !self.sessions().live.is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Closes all sessions: the server ends.
    pub(crate) fn close_sessions(&self, close: &Close) {
        for session in self.all_live() {
            session.close_unless_closed(close.clone());
        }
    }

    /// Gives a stream to its session.
    pub(super) fn route(&self, session_id: u64, direction: Direction, stream: Stream) {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.live.get(&session_id).cloned() {
            drop(sessions);
            session.deliver(direction, stream);
        } else if !sessions.may_come(session_id, self.role) {
            drop(sessions);
            discard(stream, ErrorCode::WT_SESSION_GONE);
        } else if sessions.early.len() < EARLY_STREAMS {
            sessions.early.push((session_id, direction, stream));
        } else {
            drop(sessions);
            discard(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }
}
