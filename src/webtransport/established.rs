//! A session that exists on the wire: what its task, its streams and its door share.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt, poll};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::credit::{Credit, Inflow};
use super::datagram_turns::DatagramTurns;
use super::datagrams::{self, Datagrams};
use super::direct;
use super::driver::{self, Begun, Driver};
use super::given_up::Allowance;
use super::http3::Violation;
use super::http3::capsule::Capsule;
use super::http3::error_code::ErrorCode;
use super::http3::flow_control::Limits;
use super::http3::{frame, stream_header};
use super::incoming_datagrams::IncomingDatagrams;
use super::limits::{CLOSE_TIMEOUT, anticipated};
use super::outgoing_datagrams::Outgoing;
use super::session::WebTransportEvent;
use super::streams::{Direction, Opening, ReceiveHalf, SendHalf, Stream, Streams, Tell};
use super::turnstile::Turnstile;
use super::underlying::Underlying;
use super::{receive_stream, send_stream, statistics};
use crate::hub::{Payload, Port};

/// An error code as quinn takes it.
pub(crate) fn varint(code: ErrorCode) -> VarInt {
    VarInt::from_u64(code.0).expect("every code of HTTP/3 and WebTransport has at most 62 bits")
}

/// Who closes a session at our end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closer {
    /// Its own script, which knows.
    Script,
    /// The server that it belongs to: the script has to be told.
    Server,
}

/// How a session is closed at our end.
#[derive(Clone, Debug)]
pub(crate) struct Close {
    pub(crate) by: Closer,
    pub(crate) code: u32,
    pub(crate) reason: String,
}

impl Close {
    /// Without a code and a reason.
    pub(crate) const fn plain(by: Closer) -> Self {
        Self {
            by,
            code: 0,
            reason: String::new(),
        }
    }
}

/// A session that exists on the wire: what its task, its streams and its door share.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// The number of its CONNECT stream.
    pub(crate) id: u64,
    pub(crate) port: Arc<Port>,
    pub(crate) streams: Streams,
    pub(crate) datagrams: Datagrams,
    pub(crate) incoming_datagrams: IncomingDatagrams,
    /// What it shares with the other sessions of its connection.
    pub(crate) underlying: Arc<Underlying>,
    /// Where those with a send group or a send order wait for their turn.
    pub(crate) turnstile: Turnstile,
    /// Cancelled when the session has ended: all its streams end too.
    pub(crate) ended: CancellationToken,
    /// How long streams that are finished wait, after the session's end, to hear that the peer has everything.
    pub(crate) patience: OnceLock<Duration>,
    /// What runs its streams, in a task of its own.
    driver: Driver,
    tasks: TaskTracker,
    pub(crate) close: watch::Sender<Option<Close>>,
    /// The peer is to be asked to end the session soon.
    draining: AtomicBool,
    /// There is a capsule to send; see [`Session::next_capsule`].
    pub(crate) to_say: Arc<Notify>,
    /// What its streams may use up, where both ends limit that.
    pub(crate) credit: Option<Arc<Credit>>,
    allowance: Arc<Allowance>,
}

impl Session {
    /// A session on the CONNECT stream of that number; see [`super::task::Http3::session`].
    pub(crate) fn new(
        connection: Connection,
        id: u64,
        port: Arc<Port>,
        allowance: Arc<Allowance>,
        underlying: Arc<Underlying>,
        limits: Option<(Limits, Limits)>,
    ) -> Arc<Self> {
        let to_say = Arc::new(Notify::new());
        Arc::new(Self {
            connection,
            id,
            port,
            streams: Streams::default(),
            datagrams: Datagrams::default(),
            incoming_datagrams: IncomingDatagrams::default(),
            turnstile: Turnstile::new(underlying.clone()),
            underlying,
            ended: CancellationToken::new(),
            patience: OnceLock::new(),
            driver: Driver::new(),
            tasks: TaskTracker::new(),
            close: watch::Sender::new(None),
            draining: AtomicBool::new(false),
            credit: limits.map(|(ours, theirs)| Credit::new(ours, theirs, to_say.clone())),
            to_say,
            allowance,
        })
    }

    /// Takes a stream that the peer opened for this session.
    pub(crate) fn deliver(&self, direction: Direction, mut stream: Stream) {
        if self.ended.is_cancelled() {
            discard(stream, ErrorCode::WT_SESSION_GONE);
            return;
        }
        if let Some(credit) = &self.credit {
            let Some(slot) = credit.opened(direction) else {
                discard(stream, ErrorCode::WT_SESSION_GONE);
                return;
            };
            if let Some(half) = &mut stream.send {
                half.slot = Some(slot.clone());
            }
            if let Some(half) = &mut stream.receive {
                half.count(Inflow::new(credit, Some(slot)));
            }
        }
        if self.streams.arrived(direction, stream) == Tell::Now {
            let event = match direction {
                Direction::Bidirectional => WebTransportEvent::IncomingBidirectional,
                Direction::Unidirectional => WebTransportEvent::IncomingUnidirectional,
            };
            self.port.emit(event, 0, 0, Payload::None);
        }
    }

    /// Drops streams of the peer that it gives up before a script has taken them, until those are too many.
    pub(crate) async fn drop_given_up(self: Arc<Self>) -> Violation {
        loop {
            for stream in self.streams.given_up().await {
                discard(stream, ErrorCode::WT_SESSION_GONE);
                if let Err(violation) = self.allowance.spend(Instant::now()) {
                    return violation;
                }
            }
        }
    }

    /// Takes datagrams for this session.
    pub(crate) fn deliver_datagrams(&self, payloads: impl Iterator<Item = Bytes>) {
        if self.incoming_datagrams.arrived(payloads, Instant::now()) == datagrams::Tell::Now {
            self.port
                .emit(WebTransportEvent::DatagramsReadable, 0, 0, Payload::None);
        }
    }

    /// Tells JavaScript the session's last figures, before its end.
    pub(crate) fn tell_stats(&self) {
        let figures = statistics::gather(self);
        self.port.emit(WebTransportEvent::Stats, 0, 0, Payload::Text(&figures));
    }

    /// Closes the session unless it is closing already.
    pub(crate) fn close_unless_closed(&self, how: Close) {
        self.close.send_if_modified(|close| {
            let first = close.is_none();
            close.get_or_insert(how);
            first
        });
    }

    /// Asks the peer to end the session soon.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.to_say.notify_one();
    }

    /// The next capsule to send. Each is made when it is about to be sent, so that none ever waits.
    pub(crate) fn next_capsule(&self) -> Option<Capsule> {
        if self.draining.swap(false, Ordering::Relaxed) {
            return Some(Capsule::DrainSession);
        }
        self.credit.as_ref()?.say()
    }

    /// A script expects the peer to open so many streams at once.
    pub(crate) fn anticipate(&self, direction: Direction, count: u32) {
        let count = anticipated(count);
        self.underlying.anticipate(direction, count);
        if let Some(credit) = &self.credit {
            credit.widen(direction, count);
        }
    }

    /// Ends all streams and waits until they have said their last word. Called once by the session's task.
    pub(crate) async fn end(&self, patience: Duration) {
        self.patience.set(patience).expect("a session ends once");
        self.ended.cancel();
        self.driver.end_unused();
        for stream in self.streams.drain() {
            discard(stream, ErrorCode::WT_SESSION_GONE);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a stream, which the session waits for at its end.
    pub(crate) fn run_stream(self: &Arc<Self>, port: &Port, stream: driver::Running) {
        match self.driver.begin(stream) {
            Begun::Running => {}
            Begun::First => {
                let running = Running(self.clone());
                let run = async move { running.0.driver.run(&running.0.ended).await };
                port.spawn_many(direct::task(self.tasks.track_future(run)));
            }
            Begun::TooLate(stream) => port.spawn_many(stream),
        }
    }

    /// The peer has ended a stream with the code that says that the session is gone. Its word about the session may come
    /// later; false when it doesn't come in time.
    pub(crate) async fn gone(&self, code: VarInt) -> bool {
        code == varint(ErrorCode::WT_SESSION_GONE)
            && tokio::time::timeout(CLOSE_TIMEOUT, self.ended.cancelled())
                .await
                .is_ok()
    }

    /// Waits until the peer uses up more than it may. Cancel safe.
    pub(crate) async fn overdrawn(&self) -> Violation {
        match &self.credit {
            Some(credit) => credit.broken().await,
            None => std::future::pending().await,
        }
    }

    /// A stream of ours as it comes from quinn.
    fn opened(&self, send: SendStream, receive: Option<RecvStream>) -> Stream {
        let header = match &receive {
            Some(_) => stream_header::encode_bidirectional(self.id),
            None => stream_header::encode_unidirectional(self.id),
        };
        Stream {
            send: Some(SendHalf {
                stream: send,
                header: header.into(),
                slot: None,
            }),
            receive: receive.map(|stream| {
                let mut half = ReceiveHalf::new(stream, Bytes::new());
                if let Some(credit) = &self.credit {
                    half.count(Inflow::new(credit, None));
                }
                half
            }),
        }
    }

    /// Opens a stream as soon as the peer's limits allow, the session's and then QUIC's. Cancel safe.
    pub(crate) async fn open(&self, direction: Direction) -> Result<Stream, quinn::ConnectionError> {
        let reserved = match &self.credit {
            Some(credit) => Some(credit.stream(direction).await),
            None => None,
        };
        let stream = match direction {
            Direction::Bidirectional => {
                let (send, receive) = self.connection.open_bi().await?;
                self.opened(send, Some(receive))
            }
            Direction::Unidirectional => {
                let send = self.connection.open_uni().await?;
                self.opened(send, None)
            }
        };
        if let Some(reserved) = reserved {
            reserved.used();
        }
        Ok(stream)
    }

    /// Opens the streams that scripts asked for and that had to wait for the peer's limit, in order.
    pub(crate) async fn open_streams(&self, direction: Direction) -> quinn::ConnectionError {
        loop {
            self.streams.next_wanted(direction).await;
            let stream = match self.open(direction).await {
                Ok(stream) => stream,
                Err(error) => return error,
            };
            if let Some(Opening { operation }) = self.streams.opened(direction) {
                let key = self.streams.keep(stream);
                self.port
                    .emit(WebTransportEvent::StreamOpened, operation, key, Payload::None);
            }
        }
    }

    /// Sends the datagrams that scripts wrote.
    pub(crate) async fn send_datagrams(&self) -> quinn::ConnectionError {
        let mut turns = DatagramTurns::new(self);
        loop {
            if let Some(place) = turns.next().await
                && let Some(Outgoing { bytes, writable, .. }) = self.datagrams.take_first(place)
            {
                let length = bytes.len();
                let mut sending = pin!(self.connection.send_datagram_wait(bytes));
                let sent = match poll!(sending.as_mut()) {
                    Poll::Ready(sent) => sent,
                    Poll::Pending => {
                        turns.rest();
                        sending.await
                    }
                };
                if let Err(error) = self.datagram_sent(sent, length) {
                    return error;
                }
                self.datagrams.sent(writable);
            }
            // While no turns are taken there is nobody to ask before the others of the queue.
            if !self.turnstile.is_used()
                && let Err(error) = self.send_datagrams_at_once()
            {
                return error;
            }
            for writable in self.datagrams.freed() {
                self.port
                    .emit(WebTransportEvent::DatagramsWritable, writable, 0, Payload::None);
            }
        }
    }

    /// Sends those that QUIC has room for.
    fn send_datagrams_at_once(&self) -> Result<(), quinn::ConnectionError> {
        let mut outcome = Ok(());
        self.datagrams.hand_over(|datagram| {
            let sent = self.connection.send_datagram_wait(datagram.clone()).now_or_never();
            match sent {
                Some(sent) => {
                    outcome = self.datagram_sent(sent, datagram.len());
                    outcome.is_ok()
                }
                None => false,
            }
        });
        outcome
    }

    /// What became of a datagram of that length, with what frames it.
    fn datagram_sent(
        &self,
        sent: Result<(), quinn::SendDatagramError>,
        length: usize,
    ) -> Result<(), quinn::ConnectionError> {
        use quinn::SendDatagramError as Refused;
        match sent {
            Ok(()) => self.underlying.sent(length - datagrams::overhead(self.id)),
            // A datagram that does not fit is dropped, as the specification says.
            Err(Refused::TooLarge | Refused::UnsupportedByPeer | Refused::Disabled) => {}
            Err(Refused::ConnectionLost(error)) => return Err(error),
        }
        Ok(())
    }
}

/// A session whose streams run, or would. They hold the session, which holds those that have not begun: where the environment
/// ends first, nothing else would let go of either.
struct Running(Arc<Session>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.driver.abandon();
    }
}

/// Ends a stream that has no JavaScript objects.
pub(crate) fn discard(stream: Stream, code: ErrorCode) {
    if let Some(half) = stream.send {
        send_stream::discard(half, code);
    }
    if let Some(half) = stream.receive {
        receive_stream::discard(half, code);
    }
}

/// The bytes that tell a peer how a session ended.
pub(crate) fn close_frame(close: &Close) -> Vec<u8> {
    let capsule = Capsule::CloseSession {
        code: close.code,
        reason: close.reason.clone(),
    };
    frame::data(&capsule.encode())
}
