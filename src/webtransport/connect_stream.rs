//! A session's own stream: on it the session is asked for and granted, lives and ends.
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-6>

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;

use super::cause::{Cause, Phase};
use super::established::{Close, Closer, Session, close_frame, varint};
use super::http3::capsule::{Capsule, CapsuleDecoder};
use super::http3::error_code::ErrorCode;
use super::http3::frame::{self, Carrier, Frame, FrameDecoder};
use super::http3::{Scope, Violation};
use super::limits::{CLOSE_TIMEOUT, LAST_ACKNOWLEDGEMENTS};
use super::session::WebTransportEvent;
use super::streams::Direction;
use super::task::flushed;
use crate::hub::Payload;

/// The most that is read from a CONNECT stream at once.
const PIECE: usize = 16 * 1024;

/// Why nothing more comes on a stream.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer gave it up, with this code.
    Reset(VarInt),
    /// The connection is gone.
    Lost(ConnectionError),
    /// The peer broke the protocol.
    Violation(Violation),
}

impl Broken {
    /// For the operator.
    pub(crate) fn cause(&self, phase: Phase) -> Cause {
        match self {
            Self::Reset(_) => Cause::new(phase, "ECONNRESET", "the peer reset the session's stream"),
            Self::Lost(error) => Cause::lost(phase, error),
            Self::Violation(violation) => Cause::violation(phase, violation),
        }
    }
}

/// A request's stream.
pub(crate) struct ConnectStream {
    pub(crate) send: SendStream,
    frames: FrameStream,
}

/// The half of a request's stream that the peer sends, cut into frames.
pub(crate) struct FrameStream {
    receive: RecvStream,
    decoder: FrameDecoder,
    input: Bytes,
}

impl ConnectStream {
    /// A stream of which `first` has been read.
    pub(crate) fn new(send: SendStream, receive: RecvStream, first: Bytes) -> Self {
        Self {
            send,
            frames: FrameStream {
                receive,
                decoder: FrameDecoder::new(Carrier::Request),
                input: first,
            },
        }
    }

    /// The stream's number.
    pub(crate) fn id(&self) -> u64 {
        VarInt::from(self.frames.receive.id()).into_inner()
    }

    /// Its two halves, which then end each by itself.
    pub(crate) fn split(self) -> (SendStream, FrameStream) {
        (self.send, self.frames)
    }

    /// The next frame; `None` at the end of the stream. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        self.frames.next().await
    }

    /// Tells the peer that nobody wants the rest of what it sends.
    pub(crate) fn stop(&mut self, code: ErrorCode) {
        self.frames.stop(code);
    }

    /// Ends both directions with a code.
    pub(crate) fn abort(&mut self, code: ErrorCode) {
        self.frames.stop(code);
        // An error means that it has ended already.
        let _ended = self.send.reset(varint(code));
    }

    /// Ends what the violation says: this stream or the connection.
    pub(crate) fn punish(&mut self, connection: &quinn::Connection, violation: &Violation) {
        match violation.scope {
            Scope::Stream => self.abort(violation.code),
            Scope::Connection => connection.close(varint(violation.code), violation.rule.as_bytes()),
        }
    }

    /// The same, and waits until it is on the wire: a connection that is closed at once would not say it.
    pub(crate) async fn punish_and_flush(&mut self, connection: &quinn::Connection, violation: &Violation) {
        match violation.scope {
            Scope::Stream => self.abort_and_flush(connection, violation.code).await,
            Scope::Connection => self.punish(connection, violation),
        }
    }

    /// Ends both directions with a code and waits until that is on the wire.
    async fn abort_and_flush(&mut self, connection: &quinn::Connection, code: ErrorCode) {
        let before = connection.stats().frame_tx.reset_stream;
        self.abort(code);
        flushed(connection, |sent| sent.reset_stream > before).await;
    }
}

impl FrameStream {
    /// The next frame; `None` at the end of the stream. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.input).map_err(Broken::Violation)? {
                return Ok(Some(frame));
            }
            match self.receive.read_chunk(PIECE, true).await {
                Ok(Some(chunk)) => self.input = chunk.bytes,
                Ok(None) if self.decoder.is_between_frames() => return Ok(None),
                Ok(None) => {
                    let rule = "the stream ends inside a frame";
                    return Err(Broken::Violation(Violation::connection(
                        ErrorCode::H3_FRAME_ERROR,
                        rule,
                    )));
                }
                Err(ReadError::ConnectionLost(error)) => return Err(Broken::Lost(error)),
                Err(ReadError::Reset(code)) => return Err(Broken::Reset(code)),
                // We have given it up ourselves.
                Err(ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected) => {
                    return Err(Broken::Reset(varint(ErrorCode::H3_REQUEST_CANCELLED)));
                }
            }
        }
    }

    /// Tells the peer that nobody wants the rest.
    pub(crate) fn stop(&mut self, code: ErrorCode) {
        // An error means that it has ended already.
        let _ended = self.receive.stop(varint(code));
    }

    /// Reads to the end of the stream and heeds nothing of it. A stream that is dropped before asks the peer to stop, and a
    /// peer that hears that (Chromium) takes a session that was closed in good order for lost.
    async fn read_rest(&mut self) {
        while let Ok(Some(_)) = self.receive.read_chunk(PIECE, true).await {}
    }

    /// Waits for the end of the stream, and says whether the peer sends more data before it. Cancel safe.
    async fn has_more(&mut self) -> bool {
        loop {
            match self.next().await {
                Ok(Some(Frame::Data(data))) if data.is_empty() => {}
                // What can't be read as frames is more, too.
                Ok(Some(Frame::Data(_))) | Err(Broken::Violation(_)) => return true,
                // Trailers have no meaning here.
                Ok(Some(Frame::Headers(_))) => {}
                Ok(Some(Frame::Settings(_) | Frame::Goaway(_))) => unreachable!("a request's decoder refuses them"),
                Ok(None) | Err(Broken::Reset(_) | Broken::Lost(_)) => return false,
            }
        }
    }
}

/// How a session ended.
enum End {
    /// By us.
    Local(Close),
    /// By the peer, in good order.
    Remote { code: u32, reason: String, rest: Rest },
    /// By a fault.
    Broken(Broken),
}

/// What comes behind a peer's word that the session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Nothing so far.
    Nothing,
    /// More data, which must not be: draft 14, section 6.
    Data,
}

/// Runs an established session until it has ended, and tells JavaScript of it, except for the terminal event.
pub(crate) async fn run(session: &Arc<Session>, mut stream: ConnectStream) {
    // A task of its own: it looks at every stream that nobody takes, each time that one of them has news.
    let mut dropping = JoinSet::new();
    dropping.spawn(session.clone().drop_given_up());
    // What has been begun to say is said whole, whatever else happens.
    let mut saying = BytesMut::new();
    let ConnectStream { send, frames } = &mut stream;
    let end = tokio::select! {
        biased;
        close = closed_here(session) => End::Local(close),
        Some(dropped) = dropping.join_next() => match dropped {
            Ok(violation) => End::Broken(Broken::Violation(violation)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        },
        end = read_capsules(session, frames) => end,
        violation = session.overdrawn() => End::Broken(Broken::Violation(violation)),
        never = send_capsules(session, send, &mut saying) => match never {},
        error = session.open_streams(Direction::Bidirectional) => End::Broken(Broken::Lost(error)),
        error = session.open_streams(Direction::Unidirectional) => End::Broken(Broken::Lost(error)),
        error = session.send_datagrams() => End::Broken(Broken::Lost(error)),
    };
    drop(dropping);
    match end {
        End::Local(close) => {
            // A peer that takes nothing must not hold the script.
            let _late = tokio::time::timeout(CLOSE_TIMEOUT, async {
                // Before its streams end, so that the peer sees them end with the session. Errors mean that the peer has
                // ended the session first.
                saying.extend_from_slice(&close_frame(&close));
                if stream.send.write_all(&saying).await.is_ok() {
                    let _ended = stream.send.finish();
                }
            })
            .await;
            session.end(Duration::ZERO).await;
            if close.by == Closer::Server {
                session.tell_stats();
                let reason = Payload::Text(&close.reason);
                session.port.emit(WebTransportEvent::Closed, close.code, 0, reason);
            }
            let _late = tokio::time::timeout(CLOSE_TIMEOUT, async {
                // An error means that the peer has gone, which the rest says too.
                let _gone = stream.send.stopped().await;
                stream.frames.read_rest().await;
            })
            .await;
        }
        End::Remote { code, reason, rest } => {
            // What its streams have to say comes first: the last bytes, or that everything has arrived.
            session.end(LAST_ACKNOWLEDGEMENTS).await;
            session.tell_stats();
            let reason = Payload::Text(&reason);
            session.port.emit(WebTransportEvent::Closed, code, 0, reason);
            // Our direction ends after the peer's: once it has ended it can't be reset any more.
            let has_more = async { rest == Rest::Data || stream.frames.has_more().await };
            if let Ok(true) = tokio::time::timeout(CLOSE_TIMEOUT, has_more).await {
                let code = ErrorCode::H3_MESSAGE_ERROR;
                stream.abort_and_flush(&session.connection, code).await;
            } else {
                // An error means that the peer wants no answer.
                let _ended = stream.send.finish();
            }
        }
        End::Broken(broken) => {
            session.end(Duration::ZERO).await;
            broken.cause(Phase::Session).emit(&session.port);
            if let Broken::Violation(violation) = &broken {
                stream.punish_and_flush(&session.connection, violation).await;
            } else {
                stream.abort(ErrorCode::H3_REQUEST_CANCELLED);
            }
        }
    }
}

async fn closed_here(session: &Session) -> Close {
    let mut close = session.close.subscribe();
    let close = close.wait_for(Option::is_some).await;
    let close = close.expect("the session holds the sender");
    close.clone().expect("waited for")
}

/// Sends the capsules that there are to send. What of them the network has not taken yet stays in `saying`.
async fn send_capsules(session: &Session, send: &mut SendStream, saying: &mut BytesMut) -> Infallible {
    loop {
        while let Some(capsule) = session.next_capsule() {
            saying.extend_from_slice(&frame::data(&capsule.encode()));
        }
        while !saying.is_empty() {
            match send.write(saying).await {
                Ok(written) => saying.advance(written),
                // The peer wants to hear nothing, or is gone: what comes from it tells.
                Err(_ended) => std::future::pending().await,
            }
        }
        session.to_say.notified().await;
    }
}

async fn read_capsules(session: &Session, frames: &mut FrameStream) -> End {
    let mut decoder = CapsuleDecoder::default();
    loop {
        let mut bytes = match frames.next().await {
            Ok(Some(Frame::Data(bytes))) => bytes,
            // Trailers have no meaning here.
            Ok(Some(Frame::Headers(_))) => continue,
            Ok(Some(Frame::Settings(_) | Frame::Goaway(_))) => unreachable!("a request's decoder refuses them"),
            // Without a capsule, or with half a one, the end means the same.
            Ok(None) => {
                return End::Remote {
                    code: 0,
                    reason: String::new(),
                    rest: Rest::Nothing,
                };
            }
            Err(broken) => return End::Broken(broken),
        };
        loop {
            match decoder.decode(&mut bytes) {
                Ok(Some(Capsule::CloseSession { code, reason })) => {
                    let rest = if bytes.is_empty() { Rest::Nothing } else { Rest::Data };
                    return End::Remote { code, reason, rest };
                }
                Ok(Some(Capsule::DrainSession)) => {
                    session.port.emit(WebTransportEvent::Draining, 0, 0, Payload::None);
                }
                Ok(Some(Capsule::FlowControl(said))) => {
                    // Without limits on both sides it means nothing.
                    if let Some(credit) = &session.credit
                        && let Err(violation) = credit.hear(said)
                    {
                        return End::Broken(Broken::Violation(violation));
                    }
                }
                Ok(None) => break,
                Err(violation) => return End::Broken(Broken::Violation(violation)),
            }
        }
    }
}
