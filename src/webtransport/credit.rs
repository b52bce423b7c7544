//! The accounts of a session ([`super::http3::flow_control`]) between its tasks: who sends waits here for the peer's word,
//! and what comes is counted until a script has read it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use super::http3::Violation;
use super::http3::capsule::Capsule;
use super::http3::flow_control::{FlowControl, Limits, Said, UNITS, Unit};
use super::streams::Direction;

/// The most that one stream takes at once, so that the others get theirs.
const PIECE: u64 = 64 * 1024;

/// Who opens streams.
const OPENER: u64 = u64::MAX;

struct State {
    flow: FlowControl,
    /// Who waits for more of each unit: the streams of [`Credit::leave`], and who opens streams.
    waiting: [Vec<(u64, Waker)>; 3],
    broken: Option<Violation>,
}

/// What a session may use up, and what it lets its peer use up.
pub(crate) struct Credit {
    state: Mutex<State>,
    /// There is a capsule to send; see [`Credit::say`].
    to_say: Arc<Notify>,
    /// Told when the peer breaks the rules.
    broken: Notify,
}

impl Credit {
    /// A new session's; `to_say` is told when there is something to say.
    pub(crate) fn new(ours: Limits, theirs: Limits, to_say: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                flow: FlowControl::new(ours, theirs),
                waiting: UNITS.map(|_| Vec::new()),
                broken: None,
            }),
            to_say,
            broken: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what the peer says.
    pub(crate) fn hear(&self, said: Said) -> Result<(), Violation> {
        let woken = {
            let mut state = self.state();
            let more = state.flow.hear(said)?;
            more.map(|unit| std::mem::take(&mut state.waiting[unit as usize]))
        };
        // The peer was blocked, for one, and now is not.
        self.to_say.notify_one();
        for (_, waker) in woken.into_iter().flatten() {
            waker.wake();
        }
        Ok(())
    }

    /// What is to be said next.
    pub(crate) fn say(&self) -> Option<Capsule> {
        self.state().flow.say().map(Capsule::from)
    }

    /// Takes some of the bytes that the peer allows for the stream of that number, `wanted` at most. What is not used is given
    /// back by [`Credit::unspend`].
    pub(crate) fn poll_spend_bytes(&self, stream: u64, wanted: usize, context: &mut Context<'_>) -> Poll<usize> {
        self.poll_spend(Unit::Data, stream, wanted, context)
    }

    fn poll_spend(&self, unit: Unit, who: u64, wanted: usize, context: &mut Context<'_>) -> Poll<usize> {
        if wanted == 0 {
            return Poll::Ready(0);
        }
        let mut state = self.state();
        let spent = state.flow.spend(unit, PIECE.min(wanted as u64));
        if spent == 0 {
            let waiting = &mut state.waiting[unit as usize];
            if !waiting.iter().any(|(_, waker)| waker.will_wake(context.waker())) {
                waiting.push((who, context.waker().clone()));
            }
            drop(state);
            self.to_say.notify_one();
            return Poll::Pending;
        }
        Poll::Ready(usize::try_from(spent).expect("it is at most a piece"))
    }

    /// The stream of that number has ended, and waits for nothing.
    pub(crate) fn leave(&self, stream: u64) {
        self.state().waiting[Unit::Data as usize].retain(|(who, _)| *who != stream);
    }

    /// Takes as many bytes as are to be sent as a whole, or none.
    pub(crate) fn spend_whole(&self, bytes: usize) -> bool {
        let mut state = self.state();
        let spent = state.flow.spend(Unit::Data, bytes as u64);
        let whole = spent == bytes as u64;
        if !whole {
            state.flow.unspend(Unit::Data, spent);
        }
        whole
    }

    /// A script expects the peer to open so many streams at once.
    pub(crate) fn widen(&self, direction: Direction, count: u32) {
        self.state().flow.widen(unit(direction), count.into());
        self.to_say.notify_one();
    }

    /// Gives back what was not used.
    pub(crate) fn unspend(&self, unit: Unit, unused: usize) {
        if unused == 0 {
            return;
        }
        let woken = {
            let mut state = self.state();
            state.flow.unspend(unit, unused as u64);
            std::mem::take(&mut state.waiting[unit as usize])
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Waits until the peer allows one more stream. Cancel safe; what the guard is not told of is given back.
    pub(crate) async fn stream(&self, direction: Direction) -> Reserved<'_> {
        let unit = unit(direction);
        poll_fn(|context| self.poll_spend(unit, OPENER, 1, context)).await;
        Reserved { credit: self, unit }
    }

    /// Counts a stream that the peer has opened; `None` when that was one too many.
    pub(crate) fn opened(self: &Arc<Self>, direction: Direction) -> Option<Arc<Slot>> {
        let unit = unit(direction);
        self.count(unit, 1).then(|| {
            Arc::new(Slot {
                credit: self.clone(),
                unit,
            })
        })
    }

    /// False when the peer has used up more than it may.
    fn count(&self, unit: Unit, count: usize) -> bool {
        let mut state = self.state();
        match state.flow.received(unit, count as u64) {
            Ok(()) => true,
            Err(violation) => {
                state.broken.get_or_insert(violation);
                self.broken.notify_one();
                false
            }
        }
    }

    fn release(&self, unit: Unit, count: usize) {
        if count > 0 {
            self.state().flow.released(unit, count as u64);
            self.to_say.notify_one();
        }
    }

    /// Waits until the peer breaks the rules. Cancel safe.
    pub(crate) async fn broken(&self) -> Violation {
        loop {
            if let Some(violation) = self.state().broken {
                return violation;
            }
            self.broken.notified().await;
        }
    }
}

fn unit(direction: Direction) -> Unit {
    match direction {
        Direction::Bidirectional => Unit::Bidirectional,
        Direction::Unidirectional => Unit::Unidirectional,
    }
}

/// A stream that may be opened.
pub(crate) struct Reserved<'a> {
    credit: &'a Credit,
    unit: Unit,
}

impl Reserved<'_> {
    /// It has been.
    pub(crate) fn used(self) {
        std::mem::forget(self);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.credit.unspend(self.unit, 1);
    }
}

/// The place of a stream that the peer has opened, free again when both its halves are gone.
pub(crate) struct Slot {
    credit: Arc<Credit>,
    unit: Unit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.credit.release(self.unit, 1);
    }
}

struct Held {
    /// Bytes that came and that no script has read.
    bytes: usize,
    /// QUIC has more, or may have, for which there is no room.
    back: bool,
    /// The place of a stream of the peer's, until nothing more can come.
    slot: Option<Arc<Slot>>,
    /// Nothing more can come.
    ended: bool,
}

/// What comes on one stream, as the session's accounts see it.
pub(crate) struct Inflow {
    credit: Arc<Credit>,
    held: Mutex<Held>,
}

/// How the end of a stream came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the last byte.
    Whole,
    /// Before, so that nobody knows what has not come.
    Cut,
}

impl Inflow {
    /// A new stream's.
    pub(crate) fn new(credit: &Arc<Credit>, slot: Option<Arc<Slot>>) -> Self {
        Self {
            credit: credit.clone(),
            held: Mutex::new(Held {
                bytes: 0,
                back: false,
                slot,
                ended: false,
            }),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes have been taken from QUIC. Nothing is to be taken any more when they are more than the session may have.
    pub(crate) fn arrived(&self, bytes: usize) {
        self.held().bytes += bytes;
        let _told_to_the_session = self.credit.count(Unit::Data, bytes);
    }

    /// So many of them are held no longer.
    pub(crate) fn read(&self, bytes: usize) {
        self.held().bytes -= bytes;
        self.credit.release(Unit::Data, bytes);
    }

    /// There is no room for what comes.
    pub(crate) fn hold_back(&self) {
        let mut held = self.held();
        if !held.ended && !std::mem::replace(&mut held.back, true) {
            self.credit.state().flow.hold_back();
        }
    }

    /// There is room.
    pub(crate) fn resume(&self) {
        if std::mem::take(&mut self.held().back) {
            self.credit.state().flow.resume();
            self.credit.to_say.notify_one();
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&self, ending: Ending) {
        let slot = {
            let mut held = self.held();
            if std::mem::replace(&mut held.ended, true) {
                return;
            }
            held.slot.take()
        };
        if ending == Ending::Cut {
            self.credit.state().flow.cut();
            self.credit.to_say.notify_one();
        }
        self.resume();
        drop(slot);
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        self.end(Ending::Cut);
        let bytes = self.held().bytes;
        self.credit.release(Unit::Data, bytes);
    }
}

#[cfg(test)]
mod tests;
