//! What all sessions of one connection share: <https://www.w3.org/TR/webtransport/#underlying-connection>.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use quinn::{Connection, VarInt};

use super::http3::exporter;
use super::limits::{CONCURRENT_STREAMS, anticipated};
use super::streams::Direction;
use super::turnstile::SendWindow;

/// The connection under sessions, and what is counted and agreed for it as a whole.
pub(crate) struct Underlying {
    connection: Connection,
    /// How much QUIC may hold until that is acknowledged.
    pub(crate) send_window: SendWindow,
    /// What scripts have sent and QUIC has taken, without what frames it.
    bytes_sent: AtomicU64,
    /// Streams of each kind that the peer may have open, as far as a script has raised that.
    bidirectional: AtomicU32,
    unidirectional: AtomicU32,
}

impl Underlying {
    /// That of a new connection.
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            send_window: SendWindow::new(connection.clone()),
            connection,
            bytes_sent: AtomicU64::new(0),
            bidirectional: AtomicU32::new(CONCURRENT_STREAMS),
            unidirectional: AtomicU32::new(CONCURRENT_STREAMS),
        }
    }

    /// The peer may open so many streams of each kind by the options of a server.
    pub(crate) fn allow(&self, streams: u32) {
        self.bidirectional.store(streams, Ordering::Relaxed);
        self.unidirectional.store(streams, Ordering::Relaxed);
    }

    /// The peer may open so many streams of each kind for all sessions together, and those on which it asks for them.
    pub(crate) fn allow_shared(&self, streams: u32, sessions: u32) {
        let bidirectional = streams.saturating_add(sessions);
        self.bidirectional.store(bidirectional, Ordering::Relaxed);
        self.unidirectional.store(streams, Ordering::Relaxed);
        self.connection
            .set_max_concurrent_bi_streams(VarInt::from_u32(bidirectional));
        self.connection
            .set_max_concurrent_uni_streams(VarInt::from_u32(streams));
    }

    /// QUIC has taken so many bytes of a script.
    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What QUIC has taken of scripts so far.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Fills `target` with keying material for a session. False when TLS can't give it, or a parameter is too long.
    pub(crate) fn export(&self, session_id: u64, label: &[u8], context: &[u8], target: &mut [u8]) -> bool {
        exporter::context(session_id, label, context).is_some_and(|context| {
            self.connection
                .export_keying_material(target, exporter::LABEL, &context)
                .is_ok()
        })
    }

    /// A script expects the peer to open so many streams at once: it may, within our limit. What one session has got is
    /// not taken back for another.
    pub(crate) fn anticipate(&self, direction: Direction, count: u32) {
        let count = anticipated(count);
        let (raised, set): (_, fn(&Connection, VarInt)) = match direction {
            Direction::Bidirectional => (&self.bidirectional, Connection::set_max_concurrent_bi_streams),
            Direction::Unidirectional => (&self.unidirectional, Connection::set_max_concurrent_uni_streams),
        };
        if raised.fetch_max(count, Ordering::Relaxed) < count {
            set(&self.connection, VarInt::from_u32(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::webtransport::task::tests::pair;

    #[tokio::test]
    async fn keying_material_is_what_a_peer_of_plain_quic_derives() {
        let pair = pair().await;
        let underlying = Underlying::new(pair.client.clone());
        let (mut ours, mut theirs) = ([0; 64], [0; 64]);
        assert!(underlying.export(4, b"label", b"of use", &mut ours));
        let context = b"\0\0\0\0\0\0\0\x04\x05label\x06of use";
        pair.server
            .export_keying_material(&mut theirs, b"EXPORTER-WebTransport", context)
            .expect("TLS exports");
        assert_eq!(ours, theirs);
        assert!(underlying.export(8, b"label", b"of use", &mut theirs));
        assert_ne!(ours, theirs);
        assert!(!underlying.export(4, &[0; 256], b"", &mut ours));
    }

    #[tokio::test]
    async fn streams_that_a_script_expects_are_allowed_and_stay_so() {
        let pair = pair().await;
        pair.server.set_max_concurrent_uni_streams(VarInt::from_u32(128));
        let underlying = Underlying::new(pair.server.clone());
        underlying.anticipate(Direction::Unidirectional, 1000);
        underlying.anticipate(Direction::Unidirectional, 200);
        let mut open = Vec::new();
        for _ in 0..1000 {
            open.push(pair.client.open_uni().await.expect("opens"));
        }
        let next = pin!(pair.client.open_uni());
        assert!(next.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}
