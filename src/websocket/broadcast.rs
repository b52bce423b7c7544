//! One message to many connections of a server: its frame is made once, since a server masks nothing.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::frame::{MAX_HEADER, write_frame};
use super::message::Kind;
use super::outgoing::{Added, Outgoing};
use super::shared::{MAX_SHARED, Shared};
use super::task::Link;

/// Fewer are not worth a look whether they are still there.
const SWEEP: usize = 64;

#[derive(Default)]
struct Table {
    links: HashMap<u32, Weak<Link>>,
    sweep_at: usize,
}

/// The connections of a listener by the numbers of their requests.
#[derive(Default)]
pub(crate) struct Links(Mutex<Table>);

impl Links {
    /// Enters a connection; it leaves by itself when it has ended.
    pub(crate) fn add(&self, number: u32, link: &Arc<Link>) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.links.len() >= table.sweep_at {
            table.links.retain(|_, link| link.strong_count() > 0);
            table.sweep_at = SWEEP.max(table.links.len() * 2);
        }
        table.links.insert(number, Arc::downgrade(link));
    }

    /// Sends a message to these connections, behind what they were given before. Returns those whose socket has not taken
    /// all of it at once.
    pub(crate) fn broadcast(&self, numbers: &[u32], kind: Kind, data: &[u8]) -> Vec<u32> {
        let message = ForAll {
            kind,
            data,
            frame: OnceCell::new(),
            shared: OnceCell::new(),
        };
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_queued = |number: &u32| {
            let link = table.links.get(number).and_then(Weak::upgrade);
            link.is_some_and(|link| message.send(&link.outgoing) == Added::Queued)
        };
        numbers.iter().copied().filter(is_queued).collect()
    }
}

/// A message, and what was made of it so far.
struct ForAll<'a> {
    kind: Kind,
    data: &'a [u8],
    frame: OnceCell<Vec<u8>>,
    /// Where it is compressed.
    shared: OnceCell<Arc<Shared>>,
}

impl ForAll<'_> {
    fn send(&self, outgoing: &Outgoing) -> Added {
        if !outgoing.compresses(self.data.len()) {
            let frame = self.frame.get_or_init(|| {
                let mut frame = Vec::with_capacity(self.data.len() + MAX_HEADER);
                write_frame(&mut frame, OpCode::Data(self.kind.into()), None, self.data);
                frame
            });
            outgoing.send_frame(frame, self.data.len())
        } else if self.data.len() <= MAX_SHARED {
            let shared = self.shared.get_or_init(|| Arc::new(Shared::new(self.kind, self.data)));
            outgoing.send_shared(shared)
        } else {
            outgoing.send([(self.kind, self.data)].into_iter(), self.data.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::frame::Role;

    #[test]
    fn connections_that_have_ended_are_forgotten() {
        let links = Links::default();
        let kept = Link::new(Role::Server);
        links.add(0, &kept);
        for number in 1..10_000 {
            links.add(number, &Link::new(Role::Server));
        }
        assert!(links.0.lock().expect("whole").links.len() <= SWEEP + 1);
        // No transport yet: it waits.
        assert_eq!(links.broadcast(&[0, 9_998, 7], Kind::Text, b"all"), [0]);
    }
}
