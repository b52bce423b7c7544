//! The turns of a session's datagrams, which are senders beside its streams: one for each place that some in the queue have.

use std::collections::{HashMap, HashSet};

use super::established::Session;
use super::scheduler::Place;
use super::turnstile::Turn;

pub(crate) struct DatagramTurns<'a> {
    session: &'a Session,
    turns: HashMap<Place, Turn>,
    /// The places that have turns are those of the queue after so many changes.
    changes: Option<u64>,
}

impl<'a> DatagramTurns<'a> {
    /// Nobody in the line yet.
    pub(crate) fn new(session: &'a Session) -> Self {
        Self {
            session,
            turns: HashMap::new(),
            changes: None,
        }
    }

    /// Waits for a datagram and until it is the turn of one, and says from which place. `None` when those in the queue have
    /// become too old and JavaScript waits for that. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Place> {
        let Session {
            turnstile, datagrams, ..
        } = self.session;
        loop {
            let first = datagrams.next_to_send(|| self.leave()).await?;
            if !turnstile.is_used() {
                self.leave();
                return Some(first);
            }
            self.match_places();
            if self.turns.is_empty() {
                // All of them were too old.
                continue;
            }
            let length = |place| datagrams.first_length(place) as u64;
            if let Some(place) = turnstile.take_turn(&self.turns, length) {
                return Some(place);
            }
            datagrams.to_send.notified().await;
        }
    }

    /// QUIC has no room for the datagram: nobody waits for it meanwhile.
    pub(crate) fn rest(&self) {
        self.turns.values().for_each(|turn| self.session.turnstile.rest(turn));
    }

    /// Has a turn for each place of the queue, and no others.
    fn match_places(&mut self) {
        let Session {
            turnstile, datagrams, ..
        } = self.session;
        let (changes, places) = datagrams.places_to_send(self.changes);
        let Some(places) = places else { return };
        self.changes = Some(changes);
        let places: HashSet<Place> = places.into_iter().collect();
        let gone = self.turns.extract_if(|place, _| !places.contains(place));
        gone.for_each(|(_, turn)| turnstile.leave(&turn));
        for place in places {
            self.turns
                .entry(place)
                .or_insert_with(|| turnstile.enter(place, datagrams.to_send.clone()));
        }
    }

    fn leave(&mut self) {
        self.changes = None;
        self.turns
            .drain()
            .for_each(|(_, turn)| self.session.turnstile.leave(&turn));
    }
}

impl Drop for DatagramTurns<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
