//! Who of a session's senders may hand bytes to QUIC next: strict order within a send group, fair between the groups.
//! <https://www.w3.org/TR/webtransport/#send-order-rules>
//!
//! Pure: no tasks and no clock. A sender *waits* while it has bytes. [`Scheduler::next`] names the one whose turn it is; that
//! one hands over a piece ([`Scheduler::wrote`]) or finds that QUIC has no room for it ([`Scheduler::blocked`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The name of no sender.
pub(crate) const NOBODY: u32 = 0;

/// How far a group that had nothing to send, or could not, may catch up with the others.
const CATCH_UP: u64 = 64 * 1024;

/// Where a sender stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Its send group; 0 is the null group.
    pub(crate) group: u32,
    /// `sendOrder`: higher ones first, within the group.
    pub(crate) order: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has nothing to hand over.
    Resting,
    /// It may have its turn.
    Ready,
    /// QUIC had no room for it, or the peer's flow control holds it.
    Blocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sender {
    place: Place,
    state: State,
    /// See [`Scheduler::hasten`].
    hastened: bool,
    /// When it last had its turn: those of the same order take turns.
    last_turn: u64,
}

/// The order of turns within a group: by the send order, then the last turn, then the sender's name.
type Rank = (Reverse<i64>, u64, u32);

impl Sender {
    const fn rank(&self, id: u32) -> Rank {
        (Reverse(self.place.order), self.last_turn, id)
    }
}

#[derive(Debug, Default)]
struct Group {
    senders: usize,
    /// Bytes that it has handed over, as far as that counts; `None` before the first.
    served: Option<u64>,
    ready: BTreeSet<Rank>,
    blocked: BTreeSet<Rank>,
}

/// All senders of a session.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    senders: HashMap<u32, Sender>,
    groups: BTreeMap<u32, Group>,
    /// Those of the ready ones that are.
    hastened: BTreeSet<u32>,
    last_id: u32,
    /// What the group served last had before its turn.
    now: u64,
    turns: u64,
}

impl Scheduler {
    /// Enters a sender, which does not wait yet, and names it.
    pub(crate) fn enter(&mut self, place: Place) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        let sender = Sender {
            place,
            state: State::Resting,
            hastened: false,
            last_turn: self.turns,
        };
        self.senders.insert(self.last_id, sender);
        self.put_in(self.last_id, sender);
        self.last_id
    }

    /// Takes a sender out.
    pub(crate) fn leave(&mut self, id: u32) {
        if let Some(sender) = self.senders.remove(&id) {
            self.take_out(id, sender);
            self.forget_group(sender.place.group);
        }
    }

    /// Moves a sender to another place.
    pub(crate) fn move_to(&mut self, id: u32, place: Place) {
        if let Some(before) = self.change(id, |sender| sender.place = place) {
            self.forget_group(before.place.group);
        }
    }

    /// The sender has bytes to hand over.
    pub(crate) fn wait(&mut self, id: u32) {
        self.change(id, |sender| match sender.state {
            State::Resting => sender.state = State::Ready,
            State::Ready | State::Blocked => {}
        });
    }

    /// What the sender hands over next goes before all places: the few bytes that say what a stream is for, without which
    /// the peer gives it up in the end.
    pub(crate) fn hasten(&mut self, id: u32) {
        self.change(id, |sender| sender.hastened = true);
    }

    /// The sender has nothing to hand over.
    pub(crate) fn rest(&mut self, id: u32) {
        self.change(id, |sender| sender.state = State::Resting);
    }

    /// QUIC has no room for the sender now, which waits.
    pub(crate) fn blocked(&mut self, id: u32) {
        self.change(id, |sender| sender.state = State::Blocked);
    }

    /// QUIC may have room again. For whom it does not say: all may try, in order.
    pub(crate) fn unblock(&mut self) {
        let blocked = self.groups.values().flat_map(|group| &group.blocked);
        let blocked: Vec<_> = blocked.map(|(.., id)| *id).collect();
        for id in blocked {
            self.change(id, |sender| sender.state = State::Ready);
        }
    }

    /// The sender has handed over so many bytes.
    pub(crate) fn wrote(&mut self, id: u32, bytes: u64) {
        self.turns += 1;
        let turn = self.turns;
        let before = self.change(id, |sender| {
            sender.last_turn = turn;
            sender.hastened = false;
        });
        let Some(number) = before.map(|before| before.place.group) else {
            return;
        };
        let served = self.groups.get(&number).map_or(self.now, |group| self.served(group));
        self.now = self.now.max(served);
        if let Some(group) = self.groups.get_mut(&number) {
            group.served = Some(served.saturating_add(bytes));
        }
    }

    /// Whose turn it is.
    pub(crate) fn next(&self) -> Option<u32> {
        if let Some(id) = self.hastened.first() {
            return Some(*id);
        }
        let first = |(number, group): (&u32, &Group)| {
            let (.., id) = group.ready.first()?;
            Some((self.served(group), *number, *id))
        };
        self.groups.iter().filter_map(first).min().map(|(.., id)| id)
    }

    /// Whether the sender goes before a higher order of its group, for which QUIC had no room.
    pub(crate) fn overtakes(&self, id: u32) -> bool {
        self.senders.get(&id).is_some_and(|Sender { place, .. }| {
            let highest = self.groups.get(&place.group).and_then(|group| group.blocked.first());
            highest.is_some_and(|(Reverse(order), ..)| *order > place.order)
        })
    }

    fn served(&self, group: &Group) -> u64 {
        let served = group.served.unwrap_or(self.now);
        served.max(self.now.saturating_sub(CATCH_UP))
    }

    /// Changes a sender and where it is listed. Returns what it was.
    fn change(&mut self, id: u32, change: impl FnOnce(&mut Sender)) -> Option<Sender> {
        let sender = self.senders.get_mut(&id)?;
        let before = *sender;
        change(sender);
        let after = *sender;
        if after != before {
            self.take_out(id, before);
            self.put_in(id, after);
        }
        Some(before)
    }

    fn put_in(&mut self, id: u32, sender: Sender) {
        let group = self.groups.entry(sender.place.group).or_default();
        group.senders += 1;
        match sender.state {
            State::Resting => {}
            State::Ready => {
                group.ready.insert(sender.rank(id));
                if sender.hastened {
                    self.hastened.insert(id);
                }
            }
            State::Blocked => {
                group.blocked.insert(sender.rank(id));
            }
        }
    }

    /// Its group stays, also without senders.
    fn take_out(&mut self, id: u32, sender: Sender) {
        self.hastened.remove(&id);
        if let Some(group) = self.groups.get_mut(&sender.place.group) {
            group.senders -= 1;
            group.ready.remove(&sender.rank(id));
            group.blocked.remove(&sender.rank(id));
        }
    }

    /// A group without senders starts anew.
    fn forget_group(&mut self, number: u32) {
        if self.groups.get(&number).is_some_and(|group| group.senders == 0) {
            self.groups.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests;
