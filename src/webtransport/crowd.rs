//! How many clients of this process shake hands with one server at once. Each begins with a packet of 1,200 bytes, of which a
//! socket with the system's usual memory holds less than 200: of a larger crowd most would be lost, and come again seconds later.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Handshakes with one address at once.
const AT_ONCE: usize = 64;

/// The addresses with which hands are being shaken.
static CROWDS: Mutex<BTreeMap<SocketAddr, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());

fn crowd(address: SocketAddr) -> Arc<Semaphore> {
    let mut crowds = CROWDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(crowd) = crowds.get(&address).and_then(Weak::upgrade) {
        return crowd;
    }
    crowds.retain(|_, crowd| crowd.strong_count() > 0);
    let crowd = Arc::new(Semaphore::new(AT_ONCE));
    crowds.insert(address, Arc::downgrade(&crowd));
    crowd
}

/// Waits until one more may shake hands with that address. Another one may when this is dropped. Cancel safe.
pub(super) async fn enter(address: SocketAddr) -> OwnedSemaphorePermit {
    let place = crowd(address).acquire_owned().await;
    place.expect("nobody closes it")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_for_each_that_leaves() {
        let [one, other] = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let mut inside: Vec<_> = (0..AT_ONCE)
            .map(|_| enter(one).now_or_never().expect("there is room"))
            .collect();
        assert!(enter(one).now_or_never().is_none());
        assert!(enter(other).now_or_never().is_some(), "each address has its own");
        inside.pop();
        inside.push(enter(one).now_or_never().expect("one has left"));
        assert!(enter(one).now_or_never().is_none());
        drop(inside);
        drop(enter(other).now_or_never());
        let crowds = CROWDS.lock().expect("nobody panicked");
        assert!(!crowds.contains_key(&one), "nobody is there any more");
    }
}
