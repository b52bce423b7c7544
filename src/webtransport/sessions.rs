//! The sessions of a connection, and which of its streams belongs to which.
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-4>

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::established::{Closer, Session, discard};
use super::http3::error_code::ErrorCode;
use super::limits::EARLY_STREAMS;
use super::streams::{Direction, Stream};
use super::task::Http3;

#[derive(Default)]
pub(super) struct Sessions {
    live: HashMap<u64, Arc<Session>>,
    /// Streams that came before their session's request.
    early: Vec<(u64, Direction, Stream)>,
    /// The first session id that has not been asked for; sessions below it that are not live are gone.
    next: u64,
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

    /// Whether the connection has as many sessions as it may have.
    pub(crate) fn is_full(&self) -> bool {
        self.sessions().live.len() >= self.max_sessions
    }

    /// Enters a session, which gets the streams that came before it. `None` when the connection has too many.
    pub(crate) fn enter(&self, session: &Arc<Session>) -> Option<()> {
        let early = {
            let mut sessions = self.sessions();
            if sessions.live.len() >= self.max_sessions {
                return None;
            }
            sessions.next = sessions.next.max(session.id + 4);
            sessions.live.insert(session.id, session.clone());
            let early = std::mem::take(&mut sessions.early);
            let (own, others) = early.into_iter().partition::<Vec<_>, _>(|(id, ..)| *id == session.id);
            sessions.early = others;
            own
        };
        for (_, direction, stream) in early {
            session.deliver(direction, stream);
        }
        Some(())
    }

    /// A request has come that is no session, or was refused: streams for it are not waited for.
    pub(crate) fn refuse(&self, id: u64) {
        let early = {
            let mut sessions = self.sessions();
            sessions.next = sessions.next.max(id + 4);
            sessions
                .early
                .extract_if(.., |(early, ..)| *early == id)
                .collect::<Vec<_>>()
        };
        for (.., stream) in early {
            discard(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }

    /// Takes a session out.
    pub(crate) fn leave(&self, session: &Session) {
        let mut sessions = self.sessions();
        sessions.live.remove(&session.id);
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
    pub(crate) fn close_sessions(&self) {
        for session in self.all_live() {
            session.close_unless_closed(Closer::Server);
        }
    }

    /// Gives a stream to its session.
    pub(super) fn route(&self, session_id: u64, direction: Direction, stream: Stream) {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.live.get(&session_id).cloned() {
            drop(sessions);
            session.deliver(direction, stream);
        } else if session_id < sessions.next {
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
