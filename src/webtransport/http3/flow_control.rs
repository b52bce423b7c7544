//! What the streams of a session may use up, where both ends want that to be limited:
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-5>.
//!
//! The draft counts on resets that carry a stream's header and tell its size; quinn sends and tells neither. So what a
//! peer has used up may never be seen here. It says so itself when it is blocked, which settles the account.

use super::Violation;
use super::error_code::ErrorCode;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of streams, without the headers of streams.
    Data,
    /// Bidirectional streams.
    Bidirectional,
    /// Unidirectional streams.
    Unidirectional,
}

/// All units, in the order in which their accounts stand.
pub(crate) const UNITS: [Unit; 3] = [Unit::Data, Unit::Bidirectional, Unit::Unidirectional];

/// What a session may use up at first, as SETTINGS say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) data: u64,
    pub(crate) bidirectional: u64,
    pub(crate) unidirectional: u64,
}

impl Limits {
    /// The limit of one unit.
    pub(crate) const fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Data => self.data,
            Unit::Bidirectional => self.bidirectional,
            Unit::Unidirectional => self.unidirectional,
        }
    }
}

/// What is said on a session's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// WT_MAX_DATA, WT_MAX_STREAMS: so much may be used up from the session's beginning on.
    Max(Unit, u64),
    /// WT_DATA_BLOCKED, WT_STREAMS_BLOCKED: more than this limit is wanted.
    Blocked(Unit, u64),
}

/// No more streams can have numbers.
const MAX_STREAMS: u64 = 1 << 60;

/// An account of what the peer lets us use up.
#[derive(Clone, Copy, Debug, Default)]
struct Spending {
    limit: u64,
    spent: u64,
    /// The limit that held us up, until the peer has been told.
    blocked: Option<u64>,
    /// The last one that the peer has been told of.
    told: Option<u64>,
}

/// An account of what we let the peer use up.
#[derive(Clone, Copy, Debug, Default)]
struct Granting {
    /// How much may be held here.
    window: u64,
    /// What the peer has been told that it may use up.
    told: u64,
    /// What has come.
    received: u64,
    /// What of it is held no longer.
    released: u64,
    /// What the peer has used up that will never come.
    lost: u64,
    /// The peer waits for more than `told`.
    blocked: bool,
}

impl Granting {
    fn limit(&self) -> u64 {
        self.released + self.lost + self.window
    }

    /// The next limit to tell: when half of the window has become free, so that not every byte makes a capsule.
    fn next(&mut self) -> Option<u64> {
        let limit = self.limit();
        let more = limit.saturating_sub(self.told);
        (more >= self.window.div_ceil(2) || self.blocked && more > 0).then(|| {
            self.blocked = false;
            self.told = limit;
            limit
        })
    }
}

/// The accounts of a session.
#[derive(Debug)]
pub(crate) struct FlowControl {
    spending: [Spending; 3],
    granting: [Granting; 3],
    /// Streams with bytes that have not been taken from QUIC for want of room.
    held_back: usize,
    /// A stream has ended of which not all may have come.
    cut: bool,
}

impl FlowControl {
    /// A new session's, with what both ends have said in their SETTINGS.
    pub(crate) fn new(ours: Limits, theirs: Limits) -> Self {
        Self {
            spending: UNITS.map(|unit| Spending {
                limit: theirs.of(unit),
                ..Spending::default()
            }),
            granting: UNITS.map(|unit| Granting {
                window: ours.of(unit),
                told: ours.of(unit),
                ..Granting::default()
            }),
            held_back: 0,
            cut: false,
        }
    }

    /// Takes of what the peer allows, `wanted` at most; 0 when it allows no more now, which it is then told.
    pub(crate) fn spend(&mut self, unit: Unit, wanted: u64) -> u64 {
        let account = &mut self.spending[unit as usize];
        let spent = wanted.min(account.limit - account.spent);
        account.spent += spent;
        if spent == 0 && wanted > 0 && account.told != Some(account.limit) {
            account.blocked = Some(account.limit);
        }
        spent
    }

    /// Gives back what has not been used after all.
    pub(crate) fn unspend(&mut self, unit: Unit, unused: u64) {
        self.spending[unit as usize].spent -= unused;
    }

    /// The peer has used up so much.
    pub(crate) fn received(&mut self, unit: Unit, count: u64) -> Result<(), Violation> {
        let account = &mut self.granting[unit as usize];
        account.received += count;
        if account.received > account.told {
            return Err(violation("more than the session's limit"));
        }
        Ok(())
    }

    /// So much of what came is held no longer.
    pub(crate) fn released(&mut self, unit: Unit, count: u64) {
        self.granting[unit as usize].released += count;
        self.settle(unit);
    }

    /// The peer may use up more at once than before.
    pub(crate) fn widen(&mut self, unit: Unit, window: u64) {
        let account = &mut self.granting[unit as usize];
        account.window = account.window.max(window);
    }

    /// A stream has bytes for which there is no room.
    pub(crate) fn hold_back(&mut self) {
        self.held_back += 1;
    }

    /// It has room again, or has ended.
    pub(crate) fn resume(&mut self) {
        self.held_back -= 1;
        self.settle(Unit::Data);
    }

    /// A stream has ended, and the peer may have used up more for it than has come.
    pub(crate) fn cut(&mut self) {
        self.cut = true;
        self.settle(Unit::Data);
    }

    /// When the peer is blocked, it has used up all that it was told. What of that is neither here nor on its way is lost;
    /// what is on its way counts as lost for a time, which lets the peer send a window more than it should, once.
    fn settle(&mut self, unit: Unit) {
        let settled = match unit {
            Unit::Data => self.held_back == 0 && self.cut,
            // A stream that was reset may never have said which session it is of.
            Unit::Bidirectional | Unit::Unidirectional => true,
        };
        let account = &mut self.granting[unit as usize];
        if settled && account.blocked {
            // A peer that has overdrawn is about to be told.
            account.lost = account.told.saturating_sub(account.received);
        }
    }

    /// Hears a capsule. Says which account has more in it than before.
    pub(crate) fn hear(&mut self, said: Said) -> Result<Option<Unit>, Violation> {
        match said {
            Said::Max(unit, limit) => {
                let account = &mut self.spending[unit as usize];
                if limit < account.limit {
                    return Err(violation("a limit never falls"));
                }
                if unit != Unit::Data && limit > MAX_STREAMS {
                    return Err(violation("so many streams have no numbers"));
                }
                let more = limit > account.limit;
                account.limit = limit;
                account.blocked = None;
                Ok(more.then_some(unit))
            }
            Said::Blocked(unit, limit) => {
                let account = &mut self.granting[unit as usize];
                // About an older limit it says nothing that we don't know.
                if limit == account.told {
                    account.blocked = true;
                    self.settle(unit);
                }
                Ok(None)
            }
        }
    }

    /// What is to be said next.
    pub(crate) fn say(&mut self) -> Option<Said> {
        UNITS.into_iter().find_map(|unit| {
            if let Some(limit) = self.granting[unit as usize].next() {
                return Some(Said::Max(unit, limit));
            }
            let account = &mut self.spending[unit as usize];
            let limit = account.blocked.take()?;
            account.told = Some(limit);
            Some(Said::Blocked(unit, limit))
        })
    }
}

const fn violation(rule: &'static str) -> Violation {
    Violation::stream(ErrorCode::WT_FLOW_CONTROL_ERROR, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Limits = Limits {
        data: 100,
        bidirectional: 4,
        unidirectional: 4,
    };
    const THEIRS: Limits = Limits {
        data: 10,
        bidirectional: 1,
        unidirectional: 0,
    };

    fn flow() -> FlowControl {
        FlowControl::new(OURS, THEIRS)
    }

    fn code<T: std::fmt::Debug>(outcome: Result<T, Violation>) -> ErrorCode {
        outcome.expect_err("wrong").code
    }

    #[test]
    fn what_the_peer_allows_is_spent_and_no_more_and_it_hears_once_of_each_limit() {
        let mut flow = flow();
        assert_eq!(flow.spend(Unit::Data, 4), 4);
        assert_eq!(flow.spend(Unit::Data, 40), 6);
        assert_eq!(flow.say(), None);
        assert_eq!(flow.spend(Unit::Data, 1), 0);
        assert_eq!(flow.say(), Some(Said::Blocked(Unit::Data, 10)));
        assert_eq!(flow.spend(Unit::Data, 1), 0);
        assert_eq!(flow.say(), None);
        flow.unspend(Unit::Data, 2);
        assert_eq!(flow.spend(Unit::Data, 40), 2);
        assert_eq!(flow.hear(Said::Max(Unit::Data, 15)), Ok(Some(Unit::Data)));
        assert_eq!(flow.hear(Said::Max(Unit::Data, 15)), Ok(None));
        assert_eq!(flow.spend(Unit::Data, 40), 5);
        assert_eq!(flow.spend(Unit::Data, 40), 0);
        // The peer is quicker: nothing is left to say.
        assert_eq!(flow.hear(Said::Max(Unit::Data, 16)), Ok(Some(Unit::Data)));
        assert_eq!(flow.say(), None);
        assert_eq!(flow.spend(Unit::Unidirectional, 1), 0);
        assert_eq!(flow.say(), Some(Said::Blocked(Unit::Unidirectional, 0)));
        assert_eq!(flow.spend(Unit::Bidirectional, 1), 1);
    }

    #[test]
    fn a_limit_never_falls() {
        for unit in UNITS {
            let mut flow = flow();
            assert_eq!(flow.hear(Said::Max(unit, 20)), Ok(Some(unit)));
            assert_eq!(code(flow.hear(Said::Max(unit, 19))), ErrorCode::WT_FLOW_CONTROL_ERROR);
        }
        assert!(flow().hear(Said::Max(Unit::Data, 9)).is_err());
        assert!(flow().hear(Said::Max(Unit::Data, (1 << 62) - 1)).is_ok());
        assert!(flow().hear(Said::Max(Unit::Bidirectional, (1 << 60) + 1)).is_err());
    }

    #[test]
    fn a_peer_that_takes_more_than_it_may_breaks_the_rules() {
        for (unit, limit) in [(Unit::Data, 100), (Unit::Bidirectional, 4), (Unit::Unidirectional, 4)] {
            let mut flow = flow();
            assert_eq!(flow.received(unit, limit), Ok(()));
            assert_eq!(code(flow.received(unit, 1)), ErrorCode::WT_FLOW_CONTROL_ERROR);
        }
    }

    #[test]
    fn a_peer_that_has_taken_too_much_gets_nothing_for_saying_that_it_is_blocked() {
        let mut flow = flow();
        flow.received(Unit::Bidirectional, 5).expect_err("too many");
        assert_eq!(flow.hear(Said::Blocked(Unit::Bidirectional, 4)), Ok(None));
        assert_eq!(flow.say(), None);
    }

    #[test]
    fn what_is_free_again_is_granted_by_halves_of_the_window() {
        let mut flow = flow();
        flow.received(Unit::Data, 100).expect("allowed");
        flow.released(Unit::Data, 49);
        assert_eq!(flow.say(), None);
        flow.released(Unit::Data, 1);
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 150)));
        assert_eq!(flow.say(), None);
        flow.received(Unit::Data, 50).expect("allowed");
        flow.received(Unit::Data, 1).expect_err("too much");
    }

    #[test]
    fn a_peer_that_is_blocked_hears_of_each_byte() {
        let mut flow = flow();
        flow.received(Unit::Data, 100).expect("allowed");
        assert_eq!(flow.hear(Said::Blocked(Unit::Data, 100)), Ok(None));
        assert_eq!(flow.say(), None);
        flow.released(Unit::Data, 1);
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 101)));
        assert_eq!(flow.hear(Said::Blocked(Unit::Data, 100)), Ok(None));
        flow.released(Unit::Data, 1);
        assert_eq!(flow.say(), None);
    }

    #[test]
    fn what_never_comes_of_streams_that_were_reset_is_granted_again() {
        let mut flow = flow();
        flow.received(Unit::Data, 30).expect("allowed");
        flow.released(Unit::Data, 30);
        // All is on its way.
        assert_eq!(flow.hear(Said::Blocked(Unit::Data, 100)), Ok(None));
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 130)));
        flow.cut();
        assert_eq!(flow.hear(Said::Blocked(Unit::Data, 130)), Ok(None));
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 230)));
        // It was on its way after all: the account is right again with the next word.
        flow.received(Unit::Data, 200).expect("allowed");
        assert_eq!(flow.hear(Said::Blocked(Unit::Data, 230)), Ok(None));
        assert_eq!(flow.say(), None);
        flow.released(Unit::Data, 200);
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 330)));
    }

    #[test]
    fn a_stream_that_is_reset_after_the_peer_has_said_that_it_is_blocked_counts_too() {
        let mut flow = flow();
        flow.received(Unit::Data, 30).expect("allowed");
        flow.released(Unit::Data, 30);
        flow.hear(Said::Blocked(Unit::Data, 100)).expect("sound");
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 130)));
        flow.hear(Said::Blocked(Unit::Data, 130)).expect("sound");
        assert_eq!(flow.say(), None);
        flow.cut();
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 230)));
    }

    #[test]
    fn a_session_that_is_not_read_gets_nothing_for_streams_that_were_reset() {
        let mut flow = flow();
        flow.received(Unit::Data, 30).expect("allowed");
        flow.hold_back();
        flow.cut();
        assert_eq!(flow.hear(Said::Blocked(Unit::Data, 100)), Ok(None));
        assert_eq!(flow.say(), None);
        flow.released(Unit::Data, 30);
        flow.resume();
        assert_eq!(flow.say(), Some(Said::Max(Unit::Data, 200)));
    }

    #[test]
    fn a_stream_whose_header_was_lost_counts_no_longer_when_the_peer_is_blocked() {
        let mut flow = flow();
        flow.received(Unit::Bidirectional, 3).expect("allowed");
        assert_eq!(flow.hear(Said::Blocked(Unit::Bidirectional, 4)), Ok(None));
        assert_eq!(flow.say(), Some(Said::Max(Unit::Bidirectional, 5)));
    }
}
