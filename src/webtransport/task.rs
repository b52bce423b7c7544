//! Serves one HTTP/3 connection, either role: SETTINGS, control streams, and each stream and datagram to its session.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-6>

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use quinn::{Connection, ConnectionError, FrameStats, SendStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::cause::{Cause, Phase};
use super::connect_stream::ConnectStream;
use super::control::{Critical, drain, once};
use super::datagrams;
use super::established::{Session, varint};
use super::given_up::Allowance;
use super::http3::Violation;
use super::http3::error_code::ErrorCode;
use super::http3::goaway::Goaway;
use super::http3::settings::Settings;
use super::http3::stream_header::StreamHeader;
use super::limits::{Role, Shares};
use super::reading::Reading;
use super::refusals::{Refusals, TOO_MANY_REQUESTS, closing};
use super::sessions::Sessions;
use super::streams::{Direction, ReceiveHalf, SendHalf, Stream};
use super::underlying::Underlying;
use crate::hub::Port;

/// Requests that may wait for the listener to look at them, which it does at once: as many as streams may come in one go.
const REQUESTS: usize = 128;
/// Datagrams that are handed over together, at most: as many as JavaScript takes at once.
const DATAGRAMS_TOGETHER: usize = 64;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// QUIC says so.
    Lost(ConnectionError),
    /// The peer broke the protocol; it has been told.
    Violation(Violation),
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error)
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// An HTTP/3 connection.
pub(crate) struct Http3 {
    pub(crate) quic: Connection,
    pub(super) role: Role,
    pub(super) shares: Shares,
    pub(super) sessions: Mutex<Sessions>,
    pub(super) settings: watch::Sender<Option<Settings>>,
    /// What the peer's GOAWAY said.
    pub(super) goaway: watch::Sender<Goaway>,
    /// Ours has been asked for: we look at no request that comes from now on.
    pub(super) leaving: watch::Sender<bool>,
    /// Boxed: a queue has memory for 32 from the beginning.
    requests: mpsc::Sender<Box<ConnectStream>>,
    allowance: Arc<Allowance>,
    pub(super) underlying: Arc<Underlying>,
    /// Told when the last session has left.
    pub(super) emptied: Notify,
    /// Of a server: where those are told of that get no session.
    refusals: OnceLock<Arc<Refusals>>,
}

impl Http3 {
    /// A connection to serve with [`Http3::serve`], and, for a server, the requests that come on it.
    pub(crate) fn new(quic: Connection, role: Role, shares: Shares) -> (Arc<Self>, mpsc::Receiver<Box<ConnectStream>>) {
        let (requests, received) = mpsc::channel(REQUESTS);
        let settings = watch::Sender::new(None);
        (
            Arc::new(Self {
                underlying: Arc::new(Underlying::new(quic.clone())),
                quic,
                role,
                shares,
                sessions: Mutex::default(),
                settings,
                goaway: watch::Sender::default(),
                leaving: watch::Sender::default(),
                requests,
                allowance: Arc::new(Allowance::new(Instant::now())),
                emptied: Notify::new(),
                refusals: OnceLock::new(),
            }),
            received,
        )
    }

    /// The peer's SETTINGS, once they are there. Cancel safe. `None` when the connection ended before.
    pub(crate) async fn peer_settings(&self) -> Option<Settings> {
        let mut settings = self.settings.subscribe();
        tokio::select! {
            settings = settings.wait_for(Option::is_some) => settings.ok().and_then(|settings| *settings),
            _ended = self.quic.closed() => None,
        }
    }

    /// A session on this connection, on the CONNECT stream of that number.
    pub(crate) fn session(&self, id: u64, port: Arc<Port>) -> Arc<Session> {
        Session::new(
            self.quic.clone(),
            id,
            port,
            self.allowance.clone(),
            self.underlying.clone(),
            self.limits(),
        )
    }

    /// Tells the operator of a server through these.
    pub(super) fn report_to(&self, refusals: Arc<Refusals>) {
        let _first_stays = self.refusals.set(refusals);
    }

    /// The client has not got what it asked for.
    pub(super) fn report(&self, cause: Cause) {
        if let Some(refusals) = self.refusals.get() {
            refusals.add(self.quic.remote_address(), cause);
        }
    }

    /// The peer has given up a stream or a request that no script has seen.
    pub(crate) fn given_up(&self) -> Result<(), Violation> {
        self.allowance.spend(Instant::now())
    }

    /// Serves the connection until it ends. If this is dropped before, by a panic for one, the connection closes.
    pub(crate) async fn serve(self: Arc<Self>) -> End {
        let guard = CloseOnDrop(&self.quic);
        let end = tokio::try_join!(
            self.send_control(),
            self.accept_unidirectional(),
            self.accept_bidirectional(),
            self.receive_datagrams(),
        );
        let end = match end {
            Ok(((), (), (), ())) => unreachable!("the loops end with an error only"),
            Err(end) => end,
        };
        if let End::Violation(violation) = &end {
            self.quic.close(varint(violation.code), violation.rule.as_bytes());
        }
        std::mem::forget(guard);
        end
    }

    async fn accept_unidirectional(self: &Arc<Self>) -> Result<(), End> {
        // Streams whose header is late, and the peer's control streams. QUIC's limit on open streams bounds them.
        let mut tasks = JoinSet::new();
        let mut critical = Critical::default();
        loop {
            let (header, stream) = tokio::select! {
                stream = self.quic.accept_uni() => {
                    let mut reading = Reading::new(stream?);
                    tokio::select! {
                        biased;
                        header = reading.header(Direction::Unidirectional) => (header?, reading),
                        () = std::future::ready(()) => {
                            tasks.spawn(reading.in_time(Direction::Unidirectional));
                            continue;
                        }
                    }
                }
                Some(done) = tasks.join_next() => match finished(done)? {
                    Some(late) => late,
                    None => {
                        // Too slow to say what it is for.
                        self.given_up()?;
                        continue;
                    }
                },
            };
            let Some(header) = header else {
                self.given_up()?;
                continue;
            };
            let Reading { mut stream, held } = stream;
            match header {
                StreamHeader::WebTransport { session_id } => {
                    let receive = Some(ReceiveHalf::new(stream, held));
                    self.route(session_id, Direction::Unidirectional, Stream { send: None, receive });
                }
                StreamHeader::Control => {
                    once(&mut critical.control)?;
                    tasks.spawn(self.clone().read_control(stream, held));
                }
                StreamHeader::QpackEncoder => {
                    once(&mut critical.encoder)?;
                    tasks.spawn(drain(stream));
                }
                StreamHeader::QpackDecoder => {
                    once(&mut critical.decoder)?;
                    tasks.spawn(drain(stream));
                }
                StreamHeader::Push => {
                    return Err(Violation::connection(ErrorCode::H3_ID_ERROR, "nobody allowed a push").into());
                }
                StreamHeader::Unknown => {
                    // An error means that it has ended already.
                    let _ended = stream.stop(varint(ErrorCode::H3_STREAM_CREATION_ERROR));
                }
                StreamHeader::Request => unreachable!("a unidirectional stream is no request"),
            }
        }
    }

    async fn accept_bidirectional(self: &Arc<Self>) -> Result<(), End> {
        let mut tasks = JoinSet::new();
        loop {
            let (header, reading, send) = tokio::select! {
                stream = self.quic.accept_bi() => {
                    let (send, stream) = stream?;
                    let mut reading = Reading::new(stream);
                    tokio::select! {
                        biased;
                        header = reading.header(Direction::Bidirectional) => (header?, reading, send),
                        () = std::future::ready(()) => {
                            tasks.spawn(async move {
                                let late = reading.in_time(Direction::Bidirectional).await?;
                                Ok(late.map(|(header, reading)| (header, reading, send)))
                            });
                            continue;
                        }
                    }
                }
                Some(done) = tasks.join_next() => match finished(done)? {
                    Some(late) => late,
                    None => {
                        // Too slow to say what it is for.
                        self.given_up()?;
                        continue;
                    }
                },
            };
            match (header, self.role) {
                (None, _) => self.given_up()?,
                (Some(StreamHeader::WebTransport { session_id }), _) => {
                    let send = Some(SendHalf {
                        stream: send,
                        header: Bytes::new(),
                        slot: None,
                    });
                    let receive = Some(ReceiveHalf::new(reading.stream, reading.held));
                    self.route(session_id, Direction::Bidirectional, Stream { send, receive });
                }
                (Some(_request), Role::Client) => {
                    let rule = "a server opens no requests";
                    return Err(Violation::connection(ErrorCode::H3_STREAM_CREATION_ERROR, rule).into());
                }
                (Some(_request), Role::Server) => self.request(send, reading),
            }
        }
    }

    fn request(&self, send: SendStream, reading: Reading) {
        let mut stream = ConnectStream::new(send, reading.stream, reading.held);
        let id = stream.id();
        if self.asked(id) {
            match self.requests.try_send(Box::new(stream)) {
                Ok(()) => return,
                // The listener is too busy.
                Err(error) => stream = *error.into_inner(),
            }
            self.report(TOO_MANY_REQUESTS);
        } else {
            self.report(closing(Phase::Handshake));
        }
        self.refuse(id);
        stream.abort(ErrorCode::H3_REQUEST_REJECTED);
    }

    async fn receive_datagrams(&self) -> Result<(), End> {
        loop {
            let first = self.quic.read_datagram().await?;
            self.receive_datagrams_from(first)?;
        }
    }

    /// Hands over a datagram and those that have come with it, all of a session together.
    fn receive_datagrams_from(&self, first: Bytes) -> Result<(), End> {
        let (mut of, mut together) = (0, Vec::with_capacity(DATAGRAMS_TOGETHER));
        let mut received = Some(Ok::<_, ConnectionError>(first));
        let end = loop {
            match received.map(|received| received.map(datagrams::decode)) {
                Some(Ok(Some((id, payload)))) => {
                    if id != of {
                        self.deliver_datagrams(of, &mut together);
                        of = id;
                    }
                    together.push(payload);
                }
                Some(Ok(None)) => {
                    let rule = "a datagram begins with the number of its stream";
                    break Err(Violation::connection(ErrorCode::H3_DATAGRAM_ERROR, rule).into());
                }
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(()),
            }
            received = if together.len() < DATAGRAMS_TOGETHER {
                self.quic.read_datagram().now_or_never()
            } else {
                None
            };
        };
        self.deliver_datagrams(of, &mut together);
        end
    }

    /// Datagrams may come before or after their session: those are lost, as datagrams may be.
    fn deliver_datagrams(&self, id: u64, datagrams: &mut Vec<Bytes>) {
        if let Some(session) = self.live(id) {
            session.deliver_datagrams(datagrams.drain(..));
        }
        datagrams.clear();
    }
}

/// The outcome of a helper task. Its panic is this task's: a defect of ours, which the drop guards report.
fn finished<T>(done: Result<Result<T, End>, tokio::task::JoinError>) -> Result<T, End> {
    match done {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => unreachable!("nobody cancels these tasks while they are waited for"),
        },
    }
}

/// Closes a connection whose task is gone.
struct CloseOnDrop<'a>(&'a Connection);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close(varint(ErrorCode::H3_INTERNAL_ERROR), b"");
    }
}

/// Closes a connection in good order and waits until that is on the wire, so that the process may end.
pub(crate) async fn shut_down(connection: &Connection) {
    connection.close(varint(ErrorCode::H3_NO_ERROR), b"");
    flushed(connection, |sent| sent.connection_close > 0).await;
}

/// Waits, but not for long, until the frames on the wire are such; quinn does not tell.
pub(crate) async fn flushed(connection: &Connection, are_sent: impl Fn(&FrameStats) -> bool) {
    for _ in 0..FLUSH_LOOKS {
        if are_sent(&connection.stats().frame_tx) {
            return;
        }
        tokio::time::sleep(FLUSH_LOOK).await;
    }
}

const FLUSH_LOOKS: usize = 20;
const FLUSH_LOOK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod early_stream_tests;
#[cfg(test)]
mod given_up_tests;
#[cfg(test)]
mod goaway_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod window_tests;
