//! Serves one HTTP/3 connection, either role: SETTINGS, control streams, and each stream and datagram to its session.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-6>

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::connect_stream::ConnectStream;
use super::datagrams;
use super::established::{Closer, Session, discard, varint};
use super::given_up::Allowance;
use super::http3::Violation;
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Carrier, Frame, FrameDecoder};
use super::http3::settings::Settings;
use super::http3::stream_header::{self, StreamHeader};
use super::limits::{EARLY_STREAMS, Role, SESSIONS_PER_CONNECTION};
use super::reading::Reading;
use super::session::WebTransportEvent;
use super::streams::{Direction, ReceiveHalf, SendHalf, Stream};
use crate::hub::{Payload, Port};

/// The most that is read from a control stream at once.
const PIECE: usize = 4096;
/// Requests that may wait for the listener to look at them.
const REQUESTS: usize = 16;

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

#[derive(Default)]
struct Sessions {
    live: HashMap<u64, Arc<Session>>,
    /// Streams that came before their session's request.
    early: Vec<(u64, Direction, Stream)>,
    /// The first session id that has not been asked for; sessions below it that are not live are gone.
    next: u64,
}

/// An HTTP/3 connection.
pub(crate) struct Http3 {
    pub(crate) quic: Connection,
    role: Role,
    sessions: Mutex<Sessions>,
    settings: watch::Sender<Option<Settings>>,
    requests: mpsc::Sender<ConnectStream>,
    allowance: Arc<Allowance>,
    /// Told when the last session has left.
    emptied: Notify,
}

impl Http3 {
    /// A connection to serve with [`Http3::serve`], and, for a server, the requests that come on it.
    pub(crate) fn new(quic: Connection, role: Role) -> (Arc<Self>, mpsc::Receiver<ConnectStream>) {
        let (requests, received) = mpsc::channel(REQUESTS);
        let settings = watch::Sender::new(None);
        (
            Arc::new(Self {
                quic,
                role,
                sessions: Mutex::default(),
                settings,
                requests,
                allowance: Arc::new(Allowance::new(Instant::now())),
                emptied: Notify::new(),
            }),
            received,
        )
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
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
        Session::new(self.quic.clone(), id, port, self.allowance.clone())
    }

    /// The peer has given up a stream or a request that no script has seen.
    pub(crate) fn given_up(&self) -> Result<(), Violation> {
        self.allowance.spend(Instant::now())
    }

    /// Enters a session, which gets the streams that came before it. `None` when the connection has too many.
    pub(crate) fn enter(&self, session: &Arc<Session>) -> Option<()> {
        let early = {
            let mut sessions = self.sessions();
            if sessions.live.len() >= SESSIONS_PER_CONNECTION {
                return None;
            }
            sessions.next = sessions.next.max(session.id + 4);
            sessions.live.insert(session.id, session.clone());
            let early = std::mem::take(&mut sessions.early);
            let (own, others) = early.into_iter().partition::<Vec<_>, _>(|(id, ..)| *id == session.id);
            sessions.early = others;
            own
        };
        for (_, direction, stream) in early {
            session.deliver(direction, stream);
        }
        Some(())
    }

    /// A request has come that is no session, or was refused: streams for it are not waited for.
    pub(crate) fn refuse(&self, id: u64) {
        let early = {
            let mut sessions = self.sessions();
            sessions.next = sessions.next.max(id + 4);
            sessions
                .early
                .extract_if(.., |(early, ..)| *early == id)
                .collect::<Vec<_>>()
        };
        for (.., stream) in early {
            discard(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }

    /// Takes a session out.
    pub(crate) fn leave(&self, session: &Session) {
        let mut sessions = self.sessions();
        sessions.live.remove(&session.id);
        if sessions.live.is_empty() {
            self.emptied.notify_one();
        }
    }

    /// Waits until no session lives on the connection. Cancel safe.
    pub(crate) async fn emptied(&self) {
        while !self.sessions().live.is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Closes all sessions: the server ends.
    pub(crate) fn close_sessions(&self) {
        let live: Vec<_> = self.sessions().live.values().cloned().collect();
        for session in live {
            session.close_unless_closed(Closer::Server);
        }
    }

    /// Serves the connection until it ends. If this is dropped before, by a panic for one, the connection closes.
    pub(crate) async fn serve(self: Arc<Self>) -> End {
        let guard = CloseOnDrop(&self.quic);
        let end = tokio::try_join!(
            self.send_settings(),
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

    async fn send_settings(&self) -> Result<(), End> {
        let mut control = self.quic.open_uni().await?;
        let sessions = match self.role {
            Role::Client => 1,
            Role::Server => SESSIONS_PER_CONNECTION as u64,
        };
        let bytes = [stream_header::OUR_CONTROL, &frame::settings(&Settings::ours(sessions))].concat();
        match control.write_all(&bytes).await {
            Ok(()) => {}
            Err(quinn::WriteError::ConnectionLost(error)) => return Err(End::Lost(error)),
            Err(_stopped) => return Err(CRITICAL.into()),
        }
        // The stream stays open as long as the connection.
        match control.stopped().await {
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(End::Lost(error)),
            Ok(_) | Err(quinn::StoppedError::ZeroRttRejected) => Err(CRITICAL.into()),
        }
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
        if let Err(error) = self.requests.try_send(stream) {
            // The listener is too busy, or closing.
            stream = error.into_inner();
            self.refuse(stream.id());
            stream.abort(ErrorCode::H3_REQUEST_REJECTED);
        }
    }

    /// Gives a stream to its session.
    fn route(&self, session_id: u64, direction: Direction, stream: Stream) {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.live.get(&session_id).cloned() {
            drop(sessions);
            session.deliver(direction, stream);
        } else if session_id < sessions.next {
            drop(sessions);
            discard(stream, ErrorCode::WT_SESSION_GONE);
        } else if sessions.early.len() < EARLY_STREAMS {
            sessions.early.push((session_id, direction, stream));
        } else {
            drop(sessions);
            discard(stream, ErrorCode::WT_BUFFERED_STREAM_REJECTED);
        }
    }

    async fn receive_datagrams(&self) -> Result<(), End> {
        loop {
            let datagram = self.quic.read_datagram().await?;
            let Some((id, payload)) = datagrams::decode(datagram) else {
                let rule = "a datagram begins with the number of its stream";
                return Err(Violation::connection(ErrorCode::H3_DATAGRAM_ERROR, rule).into());
            };
            // Datagrams may come before or after their session: those are lost, as datagrams may be.
            let session = self.sessions().live.get(&id).cloned();
            if let Some(session) = session {
                session.deliver_datagram(payload);
            }
        }
    }

    async fn read_control<Late>(self: Arc<Self>, mut stream: RecvStream, first: Bytes) -> Result<Option<Late>, End> {
        let mut decoder = FrameDecoder::new(Carrier::Control);
        let mut input = first;
        loop {
            while let Some(frame) = decoder.decode(&mut input)? {
                match frame {
                    Frame::Settings(payload) => {
                        let settings = Settings::decode(&payload)?;
                        self.settings.send_replace(Some(settings));
                    }
                    Frame::Goaway(_) => {
                        let live: Vec<_> = self.sessions().live.values().cloned().collect();
                        for session in live {
                            session.port.emit(WebTransportEvent::Draining, 0, 0, Payload::None);
                        }
                    }
                    Frame::Data(_) | Frame::Headers(_) => unreachable!("a control stream's decoder refuses them"),
                }
            }
            input = match stream.read_chunk(PIECE, true).await {
                Ok(Some(chunk)) => chunk.bytes,
                Err(ReadError::ConnectionLost(error)) => return Err(End::Lost(error)),
                Ok(None) | Err(_) => return Err(CRITICAL.into()),
            };
        }
    }
}

const CRITICAL: Violation = Violation::connection(
    ErrorCode::H3_CLOSED_CRITICAL_STREAM,
    "a control stream stays open as long as the connection",
);

/// Which of the streams that come once have come.
#[derive(Default)]
struct Critical {
    control: Option<()>,
    encoder: Option<()>,
    decoder: Option<()>,
}

fn once(seen: &mut Option<()>) -> Result<(), Violation> {
    match seen.replace(()) {
        None => Ok(()),
        Some(()) => Err(Violation::connection(
            ErrorCode::H3_STREAM_CREATION_ERROR,
            "one stream of this type is enough",
        )),
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

/// Reads a QPACK stream to no purpose: there is no dynamic table. Chromium sends GREASE on it.
async fn drain<Late>(mut stream: RecvStream) -> Result<Option<Late>, End> {
    loop {
        match stream.read_chunk(PIECE, false).await {
            Ok(Some(_)) => {}
            Err(ReadError::ConnectionLost(error)) => return Err(End::Lost(error)),
            Ok(None) | Err(_) => return Err(CRITICAL.into()),
        }
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
    for _ in 0..FLUSH_LOOKS {
        if connection.stats().frame_tx.connection_close > 0 {
            return;
        }
        tokio::time::sleep(FLUSH_LOOK).await;
    }
}

const FLUSH_LOOKS: usize = 20;
const FLUSH_LOOK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod given_up_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod window_tests;
