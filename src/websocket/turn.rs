//! Whose turn it is to connect: to one address connections are made one after the other
//! ([RFC 6455 section 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1), step 2 of establishing a connection).
//!
//! While one shakes hands, the next one may make its transport (TCP, TLS), so that the line moves by one round trip for
//! each; those behind it begin nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The addresses that are being connected to, by this process.
static LINES: Mutex<BTreeMap<SocketAddr, Line>> = Mutex::new(BTreeMap::new());

/// Those who connect to one address.
#[derive(Default)]
struct Line {
    stages: Stages,
    length: usize,
}

/// Each has room for one.
#[derive(Default, Clone)]
struct Stages {
    transport: Arc<AsyncMutex<()>>,
    handshake: Arc<AsyncMutex<()>>,
}

/// The lock is held for one look-up only.
fn lines() -> MutexGuard<'static, BTreeMap<SocketAddr, Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the line of an address. Whoever gives it up, in whatever way, leaves the line.
struct Place(SocketAddr);

impl Place {
    fn take(address: SocketAddr) -> (Self, Stages) {
        let mut lines = lines();
        let line = lines.entry(address).or_default();
        line.length += 1;
        (Self(address), line.stages.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = lines();
        if let Some(line) = lines.get_mut(&self.0) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(&self.0);
            }
        }
    }
}

/// The right to make a transport to an address.
pub(crate) struct TransportTurn {
    _turn: OwnedMutexGuard<()>,
    handshake: Arc<AsyncMutex<()>>,
    place: Place,
}

/// The right to shake hands with an address, until it is dropped.
pub(crate) struct HandshakeTurn {
    _turn: OwnedMutexGuard<()>,
    _place: Place,
}

impl TransportTurn {
    /// Waits behind those who came before. Cancel safe: the place in the line is given up.
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let (place, stages) = Place::take(address);
        Self {
            _turn: stages.transport.lock_owned().await,
            handshake: stages.handshake,
            place,
        }
    }

    /// The transport is made. Cancel safe likewise.
    pub(crate) async fn handshake(self) -> HandshakeTurn {
        HandshakeTurn {
            _turn: self.handshake.lock_owned().await,
            _place: self.place,
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
        let first = ready(TransportTurn::at(address(1)));
        let mut second = Box::pin(TransportTurn::at(address(1)));
        let mut third = Box::pin(TransportTurn::at(address(1)));
        assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
        drop(ready(TransportTurn::at(address(2))));
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
    fn who_gives_up_leaves_nothing() {
        let first = ready(TransportTurn::at(address(3)));
        let mut second = Box::pin(TransportTurn::at(address(3)));
        let mut third = Box::pin(TransportTurn::at(address(3)));
        assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
        drop(second);
        drop(first);
        drop(ready(third));
        assert!(!lines().contains_key(&address(3)));
    }
}
