//! Counts the streams and requests that a peer gives up before a script has seen them: a peer that does nothing else
//! ("rapid reset") makes work for us at no cost of its own, outside all limits on what is open at once.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::http3::Violation;
use super::http3::error_code::ErrorCode;
use super::limits::{GIVEN_UP_AT_ONCE, GIVEN_UP_PER_SECOND};

/// What a connection's peer may still give up.
pub(crate) struct Allowance(Mutex<State>);

struct State {
    left: f64,
    since: Instant,
}

impl Allowance {
    /// The whole allowance.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            left: GIVEN_UP_AT_ONCE,
            since: now,
        }))
    }

    /// The peer has given up one more. What it has spent comes back with time.
    pub(crate) fn spend(&self, now: Instant) -> Result<(), Violation> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let back = now.saturating_duration_since(state.since).as_secs_f64() * GIVEN_UP_PER_SECOND;
        state.left = (state.left + back).min(GIVEN_UP_AT_ONCE) - 1.0;
        state.since = now;
        if state.left < 0.0 {
            let rule = "streams are not opened only to be reset";
            return Err(Violation::connection(ErrorCode::H3_EXCESSIVE_LOAD, rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many can be given up at this instant.
    fn spendable(allowance: &Allowance, now: Instant) -> u32 {
        let mut count = 0;
        while allowance.spend(now).is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn so_many_at_once_and_more_with_time() {
        let begin = Instant::now();
        let allowance = Allowance::new(begin);
        assert_eq!(spendable(&allowance, begin), 1024);
        let refused = allowance.spend(begin).expect_err("spent");
        assert_eq!(refused.code, ErrorCode::H3_EXCESSIVE_LOAD);
        let allowance = Allowance::new(begin);
        for _ in 0..1024 {
            allowance.spend(begin).expect("allowed");
        }
        assert_eq!(spendable(&allowance, begin + Duration::from_secs(1)), 128);
    }

    #[test]
    fn what_is_not_spent_does_not_grow() {
        let begin = Instant::now();
        let allowance = Allowance::new(begin);
        assert_eq!(spendable(&allowance, begin + Duration::from_secs(3600)), 1024);
    }
}
