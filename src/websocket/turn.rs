//! Whose turn it is to connect: to one address connections are made one after the other
//! ([RFC 6455 section 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1), step 2 of establishing a connection).
//!
//! While one shakes hands, the next one may make its transport (TCP, TLS), so that the line moves by one round trip for
//! each; those behind it begin nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::hub::{SOON, Wake};

/// The addresses that are being connected to, by this process, and how many stand in line for each.
static LINES: Mutex<BTreeMap<SocketAddr, (Arc<Line>, usize)>> = Mutex::new(BTreeMap::new());

/// Those who connect to one address. Each stage has room for one.
#[derive(Debug, Default)]
struct Line {
    transport: Arc<AsyncMutex<()>>,
    handshake: Arc<AsyncMutex<()>>,
    last_success: Mutex<Option<Instant>>,
}

/// The lock is held for one look-up only.
fn lines() -> MutexGuard<'static, BTreeMap<SocketAddr, (Arc<Line>, usize)>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the line of an address. Whoever gives it up, in whatever way, leaves the line.
struct Place(SocketAddr);

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = lines();
        if let Some((_, length)) = lines.get_mut(&self.0) {
            *length -= 1;
            if *length == 0 {
                lines.remove(&self.0);
            }
        }
    }
}

/// When a handshake of those ahead in a line last succeeded: the address is alive, so that waiting for it is worth while.
#[derive(Debug, Clone)]
pub(crate) struct SuccessesAhead(Arc<Line>);

impl SuccessesAhead {
    /// None yet: `None`.
    pub(crate) fn last(&self) -> Option<Instant> {
        *self.0.last_success.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a line, at its end for now.
pub(crate) struct Waiting {
    line: Arc<Line>,
    place: Place,
}

/// The right to make a transport to an address.
pub(crate) struct TransportTurn {
    _turn: OwnedMutexGuard<()>,
    line: Arc<Line>,
    place: Place,
}

/// The right to shake hands with an address, until it is dropped.
pub(crate) struct HandshakeTurn {
    _turn: OwnedMutexGuard<()>,
    line: Arc<Line>,
    place: Place,
    begun: Instant,
}

impl Waiting {
    /// Takes the last place in the line of this address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let mut lines = lines();
        let (line, length) = lines.entry(address).or_default();
        *length += 1;
        Self {
            line: line.clone(),
            place: Place(address),
        }
    }

    /// Of those who came before.
    pub(crate) fn successes_ahead(&self) -> SuccessesAhead {
        SuccessesAhead(self.line.clone())
    }

    /// Waits behind those who came before. Cancel safe: the place in the line is given up.
    pub(crate) async fn transport(self) -> TransportTurn {
        TransportTurn {
            _turn: self.line.transport.clone().lock_owned().await,
            line: self.line,
            place: self.place,
        }
    }
}

impl TransportTurn {
    /// The transport is made. Cancel safe likewise.
    pub(crate) async fn handshake(self) -> HandshakeTurn {
        HandshakeTurn {
            _turn: self.line.handshake.clone().lock_owned().await,
            line: self.line,
            place: self.place,
            begun: Instant::now(),
        }
    }
}

impl HandshakeTurn {
    /// The handshake is done: the time of those behind begins anew. Says when the script is to hear of it: where the server
    /// is so near that the next one is likely to be done at once, with that.
    pub(crate) fn succeed(self) -> Wake {
        let now = Instant::now();
        *self.line.last_success.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let is_followed = lines().get(&self.place.0).is_some_and(|(_, length)| *length > 1);
        if is_followed && now - self.begun < SOON / 2 {
            Wake::Soon
        } else {
            Wake::Now
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::new([192, 0, 2, 1].into(), port)
    }

    fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        match poll(&mut Box::pin(future)) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn one_at_a_time_in_order() {
        let first = ready(Waiting::at(address(1)).transport());
        let mut second = Box::pin(Waiting::at(address(1)).transport());
        let mut third = Box::pin(Waiting::at(address(1)).transport());
        assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
        drop(ready(Waiting::at(address(2)).transport()));
        let first = ready(first.handshake());
        let Poll::Ready(turn) = poll(&mut second) else {
            panic!("the one before shakes hands");
        };
        let mut second = Box::pin(turn.handshake());
        assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
        drop(first);
        assert!(poll(&mut second).is_ready());
        let third = ready(third);
        drop(ready(third.handshake()));
        drop(second);
        assert!(!lines().contains_key(&address(1)));
    }

    #[test]
    fn a_success_is_known_to_those_behind() {
        let first = ready(ready(Waiting::at(address(4)).transport()).handshake());
        let second = Waiting::at(address(4));
        let ahead = second.successes_ahead();
        assert_eq!(ahead.last(), None);
        first.succeed();
        assert!(ahead.last().is_some());
        drop(second);
        assert_eq!(Waiting::at(address(4)).successes_ahead().last(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn only_before_one_that_is_as_fast_a_script_may_hear_later() {
        let turn = || async { Waiting::at(address(5)).transport().await.handshake().await };
        assert_eq!(turn().await.succeed(), Wake::Now);
        let fast = turn().await;
        let behind = Waiting::at(address(5));
        assert_eq!(fast.succeed(), Wake::Soon);
        let slow = turn().await;
        tokio::time::advance(SOON).await;
        assert_eq!(slow.succeed(), Wake::Now);
        drop(behind);
    }

    #[test]
    fn who_gives_up_leaves_nothing() {
        let first = ready(Waiting::at(address(3)).transport());
        let mut second = Box::pin(Waiting::at(address(3)).transport());
        let mut third = Box::pin(Waiting::at(address(3)).transport());
        assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
        drop(second);
        drop(first);
        drop(ready(third));
        assert!(!lines().contains_key(&address(3)));
    }
}
