//! The door of a `WebTransport`: <https://www.w3.org/TR/webtransport/#webtransport>.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{BufferSlice, Uint8Array};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use super::certificate_hash::Hash;
use super::client;
use super::datagrams;
use super::driver::running;
use super::established::{Close, Closer, Session};
use super::halves::{Halves, Later};
use super::http3::connect::ConnectRequest;
use super::incoming_datagrams::Lost;
use super::outgoing_datagrams::Outgoing;
use super::preferences::Preferences;
use super::scheduler::Place;
use super::statistics;
use super::streams::{Direction, Opening, Stream};
use crate::error::Result;
use crate::hub::{Hub, Payload, Port, Terminal};
use crate::tls::TlsOptions;

/// What `web/webtransport/` asks for, converted and checked there.
#[napi(object)]
pub struct ConnectOptions {
    /// The URL's host without brackets.
    pub host: String,
    /// The URL's port.
    pub port: u16,
    /// `:authority`
    pub authority: String,
    /// `:path`, with the query.
    pub path: String,
    /// The application protocols on offer.
    pub protocols: Vec<String>,
    /// Names and values of further headers, one after the other; characters are bytes.
    pub headers: Vec<String>,
    /// SHA-256 hashes, of which one must be the certificate's; absent when authorities decide.
    pub server_certificate_hashes: Option<Vec<Uint8Array>>,
    /// A peer that is silent for so long is gone.
    pub idle_timeout_ms: u32,
    /// The address of this machine to connect from.
    pub local_address: Option<String>,
    /// Trust and identity.
    pub tls: TlsOptions,
    /// Streams that the script expects the server to open at once; 0 when it has no idea.
    pub anticipated_bidirectional: u32,
    /// The same of the other kind.
    pub anticipated_unidirectional: u32,
    /// Whether the session may share its connection.
    pub allow_pooling: bool,
}

impl From<ConnectOptions> for client::Options {
    fn from(options: ConnectOptions) -> Self {
        // A value of another length is no SHA-256 hash and matches nothing.
        let hashes = |hashes: Vec<Uint8Array>| {
            hashes
                .iter()
                .filter_map(|hash| Hash::try_from(&hash[..]).ok())
                .collect()
        };
        Self {
            host: options.host,
            port: options.port,
            request: ConnectRequest {
                authority: options.authority,
                path: options.path,
                protocols: options.protocols,
                headers: client::fields(&options.headers),
            },
            server_certificate_hashes: options.server_certificate_hashes.map(hashes),
            idle_timeout_ms: options.idle_timeout_ms,
            local_address: options.local_address,
            preferences: Preferences {
                anticipated_bidirectional: options.anticipated_bidirectional,
                anticipated_unidirectional: options.anticipated_unidirectional,
            },
            tls: options.tls,
            pooling: if options.allow_pooling {
                client::Pooling::Shared
            } else {
                client::Pooling::Dedicated
            },
        }
    }
}

/// What the native half of a session, a stream or a listener tells JavaScript.
#[napi]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebTransportEvent {
    /// Session: established. The payload is text in lines: the protocol, then `name: value` of each response header.
    Ready,
    /// Session: ended by the peer in good order. a: code; payload: reason.
    Closed,
    /// Session: could not be established, or broke. a: the status of the answer, or 0; payload: see [`Cause`](super::cause::Cause).
    Failed,
    /// Session: its last figures, before it ends in good order. Payload: see [`statistics::gather`].
    Stats,
    /// Session: the peer asks to end it soon.
    Draining,
    /// Session: a bidirectional stream of the peer waits.
    IncomingBidirectional,
    /// Session: a unidirectional stream of the peer waits.
    IncomingUnidirectional,
    /// Session: a stream of ours is open. a: operation; b: key for `takeStream`.
    StreamOpened,
    /// Session: a datagram waits.
    DatagramsReadable,
    /// Session: what was written to a writable for datagrams has gone. a: its number.
    DatagramsWritable,
    /// Session, terminal: the network has nothing more to say. a: 1 if that is a defect of ours.
    Ended,
    /// Sending stream: there is room for more.
    Writable,
    /// Sending stream: what became of a chunk that was to be taken as a whole. a: 0 nothing of it was, 1 all, 2 a part.
    AtomicWritten,
    /// Sending stream, terminal: the peer has everything.
    Finished,
    /// Sending stream, terminal: the peer wants no more. a: code; b: 1 if the code is the application's.
    Stopped,
    /// Sending stream, terminal: it ended with its session or by the script's will. a: 1 if by a defect of ours.
    SendEnded,
    /// Receiving stream: bytes have come. Payload: all of them, if they are few; else they wait. a: 1 if they are the last, then it is terminal.
    Readable,
    /// Receiving stream, terminal: no more bytes come. a: 1 if none wait.
    ReceiveFinished,
    /// Receiving stream, terminal: the peer gave it up. a: code; b: 1 if the code is the application's.
    Reset,
    /// Receiving stream, terminal: it ended with its session or by the script's will. a: 1 if by a defect of ours.
    ReceiveEnded,
    /// Listener: it listens. a: port; payload: address.
    Listening,
    /// Listener: it can't listen. Payload: the system's code and text.
    ListenFailed,
    /// Listener: a request for a session. a: its key; payload in lines: authority, path, the client's address and port,
    /// the name it asked for, TLS's version, 1 if its certificate can be trusted, that in hexadecimal digits, how many protocols, each of them, then `name: value` of each header.
    Request,
    /// Listener: a plain request. a: its key; b: 1 if it has no content; payload in lines: method, authority, path, then as
    /// for a session without the protocols.
    PlainRequest,
    /// Plain request, terminal: a: 0 when the client has the answer, 1 by a defect of ours, 2 when the client has gone, 3
    /// when the time for an answer was up, 4 when the script gave it up.
    RequestStreamEnded,
    /// Listener: the client of a request has gone, or its time is over. a: its key.
    RequestGone,
    /// Listener: clients were not let in. `takeRefusals` says which, and why.
    Refused,
    /// Listener, terminal: all its connections have ended. a: 1 if by a defect of ours.
    ListenerEnded,
}

impl From<WebTransportEvent> for i32 {
    fn from(event: WebTransportEvent) -> Self {
        event as Self
    }
}

/// The `a` of a terminal event that a defect of ours caused.
pub(crate) const INTERNAL: u32 = 1;

/// The native half of a `WebTransport`.
#[napi]
pub struct WebTransportSession {
    /// Weak: a session that has ended must not hold its connection, and with it the socket, until this is collected.
    session: Arc<OnceLock<Weak<Session>>>,
    /// Cancelled when the script has given the session up before it was there, or has dropped it.
    abandoned: CancellationToken,
    /// The streams that JavaScript has.
    pub(crate) halves: Halves,
    /// The session's own way up, beside which its streams have theirs.
    pub(crate) port: Arc<Port>,
}

#[napi]
impl WebTransportSession {
    /// Opens a connection and a session on it. `Ready`, or `Failed` and `Ended`, say how that went.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, options: ConnectOptions) -> Result<Self> {
        let target = client::Target::try_from(client::Options::from(options))?;
        let port = hub.port(id);
        let session = Arc::new(OnceLock::new());
        let abandoned = CancellationToken::new();
        let task = client::run(
            target,
            port.clone(),
            session.clone(),
            abandoned.clone(),
            hub.environment(),
        );
        port.spawn(Self::TERMINAL, task);
        Ok(Self {
            session,
            abandoned,
            halves: Halves::default(),
            port,
        })
    }

    /// Closes the session with a code and a reason; `Ended` says when the peer knows. Before `Ready` it gives up.
    #[napi(catch_unwind)]
    pub fn close(&self, code: u32, reason: String) {
        if self.session.get().is_none() {
            self.abandoned.cancel();
        } else if let Some(session) = self.session() {
            session.close.send_replace(Some(Close {
                by: Closer::Script,
                code,
                reason,
            }));
        }
    }

    /// Opens a stream of ours, for the objects that are registered under these numbers; it has no receiving half where the
    /// number is 0. False when the peer's limit forbids it for now: with an operation, `StreamOpened` follows when it no longer does.
    #[napi(catch_unwind)]
    pub fn open_stream(&self, sending: u32, receiving: u32, operation: Option<u32>) -> bool {
        let Some(session) = self.session() else { return false };
        let direction = if receiving == 0 {
            Direction::Unidirectional
        } else {
            Direction::Bidirectional
        };
        if !session.streams.has_waiting(direction) {
            // Polled once: a stream that is allowed is there at once.
            let opening = pin!(session.open(direction));
            if let Poll::Ready(Ok(stream)) = opening.poll(&mut Context::from_waker(Waker::noop())) {
                self.start(&session, stream, sending, receiving);
                return true;
            }
        }
        if let Some(operation) = operation {
            session.streams.want(direction, Opening { operation });
        }
        false
    }

    /// Takes a stream of which `StreamOpened` told, in the same way. False when it has ended with its session.
    #[napi(catch_unwind)]
    pub fn take_stream(&self, key: u32, sending: u32, receiving: u32) -> bool {
        let Some(session) = self.session() else { return false };
        let taken = session.streams.take(key);
        taken.is_some_and(|stream| {
            self.start(&session, stream, sending, receiving);
            true
        })
    }

    /// Takes the peer's next stream, in the same way; it has no sending half where the number is 0. False when there is
    /// none: `IncomingBidirectional` or `IncomingUnidirectional` will follow.
    #[napi(catch_unwind)]
    pub fn accept_stream(&self, sending: u32, receiving: u32) -> bool {
        let Some(session) = self.session() else { return false };
        let direction = if sending == 0 {
            Direction::Unidirectional
        } else {
            Direction::Bidirectional
        };
        session.streams.accept(direction).is_some_and(|mut stream| {
            if let Some(half) = &mut stream.receive {
                half.look_ahead();
            }
            self.start(&session, stream, sending, receiving);
            true
        })
    }

    /// Queues a datagram of a writable, in the place of a send group, 0 for the null group, and an order, a whole number within
    /// 64 bits; it has waited for so many milliseconds. False when as many of the writable wait as may: `DatagramsWritable` says when all have gone.
    #[napi(catch_unwind)]
    pub fn send_datagram(
        &self,
        payload: BufferSlice<'_>,
        writable: u32,
        group: u32,
        order: f64,
        waited_ms: f64,
    ) -> bool {
        self.session().is_none_or(|session| {
            // A float becomes the nearest integer that there is.
            let place = Place {
                group,
                order: order as i64,
            };
            session.turnstile.used_by_datagrams(place);
            let now = Instant::now();
            let since = age(waited_ms).and_then(|waited| now.checked_sub(waited));
            session.datagrams.send(Outgoing {
                bytes: datagrams::encode(session.id, &payload),
                since: since.unwrap_or(now),
                place,
                writable,
            })
        })
    }

    /// Takes the datagrams that wait, as many as fit: their bytes into `bytes`, one after the other, and the length and the age of each
    /// in microseconds, 32-bit words of this machine, into `marks`. Returns how many; after 0 `DatagramsReadable` will follow.
    #[napi(catch_unwind)]
    pub fn take_datagrams(&self, mut bytes: BufferSlice<'_>, mut marks: BufferSlice<'_>) -> u32 {
        let Some(session) = self.session() else { return 0 };
        let count = session.incoming_datagrams.take(Instant::now(), &mut bytes, &mut marks);
        u32::try_from(count).unwrap_or(0)
    }

    /// How many datagrams wait to be taken.
    #[napi(catch_unwind)]
    pub fn waiting_datagrams(&self) -> u32 {
        let count = self.session().map_or(0, |session| session.incoming_datagrams.len());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// So many that were taken were not read: too many waited, or they became too old.
    #[napi(catch_unwind)]
    pub fn lose_datagrams(&self, dropped: u32, expired: u32) {
        if let Some(session) = self.session() {
            session.incoming_datagrams.lose(Lost {
                dropped: dropped.into(),
                expired: expired.into(),
            });
        }
    }

    /// The largest datagram that the path takes now.
    #[napi(catch_unwind)]
    pub fn max_datagram_size(&self) -> u32 {
        let Some(session) = self.session() else { return 0 };
        let size = session.connection.max_datagram_size().unwrap_or(0);
        u32::try_from(size.saturating_sub(datagrams::overhead(session.id))).unwrap_or(u32::MAX)
    }

    /// Sets the limits of the incoming queue; an age is in milliseconds, none is without a limit.
    #[napi(catch_unwind)]
    pub fn set_incoming_datagrams(&self, max_buffered: u32, max_age_ms: Option<f64>) {
        if let Some(session) = self.session() {
            session
                .incoming_datagrams
                .configure(max_buffered as usize, max_age_ms.and_then(age));
        }
    }

    /// Sets the limits of the outgoing queue; an age is in milliseconds, none is without a limit.
    #[napi(catch_unwind)]
    pub fn set_outgoing_datagrams(&self, max_buffered: u32, max_age_ms: Option<f64>) {
        if let Some(session) = self.session() {
            session.datagrams.set_outgoing_limit(max_buffered as usize);
            session.datagrams.set_outgoing_max_age(max_age_ms.and_then(age));
        }
    }
}

#[napi]
impl WebTransportSession {
    /// The session's figures, see [`statistics::gather`]; none when it has ended on the network's side.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Option<String> {
        self.session().map(|session| statistics::gather(&session))
    }

    /// Fills `target` with keying material. False when the session has ended on the network's side, or TLS gives none.
    #[napi(catch_unwind)]
    pub fn export_keying_material(
        &self,
        label: BufferSlice<'_>,
        context: BufferSlice<'_>,
        mut target: BufferSlice<'_>,
    ) -> bool {
        let Some(session) = self.session() else { return false };
        session.underlying.export(session.id, &label, &context, &mut target)
    }

    /// The script expects the peer to open so many streams at once; 0 is no expectation.
    #[napi(catch_unwind)]
    pub fn anticipate_streams(&self, bidirectional: u32, unidirectional: u32) {
        let Some(session) = self.session() else { return };
        for (direction, count) in [
            (Direction::Bidirectional, bidirectional),
            (Direction::Unidirectional, unidirectional),
        ] {
            if count > 0 {
                session.anticipate(direction, count);
            }
        }
    }
}

impl WebTransportSession {
    fn start(&self, session: &Arc<Session>, stream: Stream, sending: u32, receiving: u32) {
        if let Some(half) = stream.receive {
            self.start_receiving(session, half, receiving);
        }
        if let Some(half) = stream.send {
            self.start_sending(session, half, sending);
        }
    }

    /// Has a half of a stream run; the object of `port` ends with `defect` if that ends without a terminal event.
    pub(crate) fn run_half(
        &self,
        session: &Arc<Session>,
        port: Arc<Port>,
        half: impl Future<Output = ()> + Send + 'static,
        defect: WebTransportEvent,
    ) {
        let last = port.clone();
        let ended = move || {
            last.emit_terminal(defect, INTERNAL, 0, Payload::None);
        };
        self.halves.later(Later::Start {
            session: session.clone(),
            port,
            stream: running(half, ended),
        });
    }

    /// What the session ends with if its task dies.
    pub(crate) const TERMINAL: Terminal = Terminal {
        event: WebTransportEvent::Ended as i32,
        a: INTERNAL,
        b: 0,
    };

    /// The door of a session that a server accepted.
    pub(crate) fn accepted(session: &Arc<Session>, port: Arc<Port>) -> Self {
        Self {
            session: Arc::new(OnceLock::from(Arc::downgrade(session))),
            abandoned: CancellationToken::new(),
            halves: Halves::default(),
            port,
        }
    }

    /// The session, which is there from `Ready` until it has ended on the network's side. JavaScript hears of that later,
    /// and finds nothing to take and no room until then.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.get().and_then(Weak::upgrade)
    }
}

impl Drop for WebTransportSession {
    fn drop(&mut self) {
        // Collected without close: nobody can hear of the session any more.
        self.abandoned.cancel();
        if let Some(session) = self.session() {
            session.close_unless_closed(Close::plain(Closer::Script));
        }
    }
}

/// An age that is a time; anything else (negative, not a number, endless) is none.
fn age(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}
