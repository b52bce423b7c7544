//! Serves a plain HTTP/3 request, from its headers to the last byte of its answer.
//! <https://www.rfc-editor.org/rfc/rfc9114#section-4.1>

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::SendStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::cause::Phase;
use super::client::text_of;
use super::connect_stream::{Broken, ConnectStream, FrameStream};
use super::established::varint;
use super::http3::connect::MessageError;
use super::http3::error_code::ErrorCode;
use super::http3::frame::Frame;
use super::http3::request::{PlainRequest, check_trailers};
use super::http3::{Field, Scope, Violation};
use super::listener::Shared;
use super::refusals::{self, NOT_SERVED, TOO_MANY_REQUESTS, closing};
use super::request::{Counted, Unheard, address_lines, answer_status};
use super::request_stream::{Exchange, Next, Offer, Tell};
use super::session::WebTransportEvent;
use super::task::Http3;
use crate::hub::{Payload, Port};

/// How a request ends, as JavaScript is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The client has the whole answer.
    Answered = 0,
    /// By a defect of ours.
    Internal = 1,
    /// The client has given it up, or is gone.
    Gone = 2,
    /// The script has not answered in time, or the client has taken nothing for too long.
    Late = 3,
    /// By the script.
    GivenUp = 4,
}

/// Tells JavaScript of the end, whatever way it comes.
struct Telling {
    port: Arc<Port>,
    ended: Ended,
}

impl Drop for Telling {
    fn drop(&mut self) {
        let ended = if std::thread::panicking() {
            Ended::Internal
        } else {
            self.ended
        };
        self.port
            .emit_terminal(WebTransportEvent::RequestStreamEnded, ended as u32, 0, Payload::None);
    }
}

/// The answer's stream. Unless it was finished it is reset when it is dropped: quinn would finish it, and half an answer
/// would look whole.
struct Sending {
    stream: SendStream,
    code: ErrorCode,
    finished: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.finished {
            // An error means that it has ended already.
            let _ended = self.stream.reset(varint(self.code));
        }
    }
}

/// One request. `client` is what TLS says of whoever asks.
pub(super) async fn serve(
    shared: Arc<Shared>,
    http3: Arc<Http3>,
    client: &[String],
    mut stream: ConnectStream,
    request: PlainRequest,
    unheard: Unheard,
) {
    http3.refuse(stream.id());
    if !shared.serves_plain_requests {
        unheard.refused(NOT_SERVED);
        return answer_status(&mut stream, 404).await;
    }
    let Some(pending) = Counted::within(&shared.pending, shared.limits.pending_requests) else {
        unheard.refused(TOO_MANY_REQUESTS.with_status(503));
        return answer_status(&mut stream, 503).await;
    };
    let exchange = Arc::new(Exchange::default());
    let (send, mut frames) = stream.split();
    let mut content = Content {
        left: request.content_length,
        order: Order::Content,
        exchange: exchange.clone(),
    };
    let mut sending = Sending {
        stream: send,
        code: ErrorCode::H3_REQUEST_REJECTED,
        finished: false,
    };
    // A request without content mostly says so at once, by its end.
    let first = tokio::select! {
        biased;
        frame = frames.next() => Some(frame),
        () = std::future::ready(()) => None,
    };
    if let Some(frame) = first
        && let Err(broken) = content.take(frame)
    {
        unheard.refused(refusals::broken(&broken));
        return fail(&http3, &mut sending, &mut frames, &broken, Answer::Awaited);
    }
    shared.port.room().await;
    let (taken, port) = oneshot::channel();
    let key = shared.requests().offer(Offer {
        exchange: exchange.clone(),
        taken,
    });
    let text = request_text(&request, &http3, client);
    unheard.heard();
    let empty = content.order == Order::Ended && exchange.is_empty();
    shared
        .port
        .emit(WebTransportEvent::PlainRequest, key, empty.into(), Payload::Text(&text));
    let Ok(port) = port.await else {
        // The server closes: nobody has seen the request.
        http3.report(closing(Phase::Handshake));
        frames.stop(ErrorCode::H3_REQUEST_REJECTED);
        return;
    };
    let mut telling = Telling {
        port: port.clone(),
        ended: Ended::Gone,
    };
    sending.code = ErrorCode::H3_REQUEST_CANCELLED;
    let mut answer = Answer::Awaited;
    let outcome = {
        let reading = async {
            let broken = content.read(&mut frames, &port).await;
            match broken {
                Ok(()) => std::future::pending().await,
                Err(broken) => broken,
            }
        };
        let times = Times {
            answer: shared.limits.request_timeout,
            stall: shared.limits.response_timeout,
        };
        tokio::select! {
            broken = reading => Err(broken),
            outcome = respond(&mut sending, &exchange, &port, times, pending, &mut answer) => Ok(outcome),
        }
    };
    match outcome {
        Ok(ended) => {
            telling.ended = ended;
            match ended {
                Ended::Answered | Ended::Late => {}
                Ended::GivenUp | Ended::Internal => sending.code = ErrorCode::H3_INTERNAL_ERROR,
                Ended::Gone => {}
            }
            if !exchange.is_read() {
                // An answer is whole without the rest of the request: RFC 9114, section 4.1.
                frames.stop(match ended {
                    Ended::Answered => ErrorCode::H3_NO_ERROR,
                    Ended::Late | Ended::GivenUp | Ended::Internal | Ended::Gone => ErrorCode::H3_REQUEST_CANCELLED,
                });
            }
        }
        Err(broken) => fail(&http3, &mut sending, &mut frames, &broken, answer),
    }
}

/// Whether a request has been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    Begun,
}

/// Ends a request whose client breaks the protocol or does not want it any more.
fn fail(http3: &Http3, sending: &mut Sending, frames: &mut FrameStream, broken: &Broken, answer: Answer) {
    let punish = |violation: &Violation, sending: &mut Sending, frames: &mut FrameStream| {
        sending.code = violation.code;
        frames.stop(violation.code);
        if violation.scope == Scope::Connection {
            http3.quic.close(varint(violation.code), violation.rule.as_bytes());
        }
    };
    match broken {
        Broken::Violation(violation) => punish(violation, sending, frames),
        // Requests that are taken back cost us more than the client: there may be so many.
        Broken::Reset(_) if answer == Answer::Awaited => match http3.given_up() {
            Ok(()) => {}
            Err(violation) => punish(&violation, sending, frames),
        },
        Broken::Reset(_) | Broken::Lost(_) => {}
    }
}

/// Which frames may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// DATA, trailers or the end.
    Content,
    /// The end.
    Trailed,
    /// Nothing.
    Ended,
}

/// A request's content on its way to JavaScript.
struct Content {
    /// Of what `content-length` says.
    left: Option<u64>,
    order: Order,
    exchange: Arc<Exchange>,
}

const WRONG_LENGTH: Violation = Violation::stream(
    ErrorCode::H3_MESSAGE_ERROR,
    "the content has another length than content-length says",
);
const BEHIND_TRAILERS: Violation = Violation::connection(ErrorCode::H3_FRAME_UNEXPECTED, "a frame behind the trailers");

impl Content {
    /// All of it. Cancel safe, as far as the stream is not read on.
    async fn read(&mut self, frames: &mut FrameStream, port: &Arc<Port>) -> Result<(), Broken> {
        while self.order != Order::Ended {
            self.exchange.room().await;
            let frame = frames.next().await;
            if self.take(frame)? == Tell::Now {
                port.emit(WebTransportEvent::Readable, 0, 0, Payload::None);
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Result<Option<Frame>, Broken>) -> Result<Tell, Broken> {
        match (frame?, self.order) {
            (Some(Frame::Data(bytes)), Order::Content) => {
                if let Some(left) = &mut self.left {
                    *left = left
                        .checked_sub(bytes.len() as u64)
                        .ok_or(Broken::Violation(WRONG_LENGTH))?;
                }
                Ok(self.exchange.arrived(bytes))
            }
            (Some(Frame::Headers(section)), Order::Content) => {
                self.order = Order::Trailed;
                match check_trailers(&section) {
                    Ok(()) => Ok(Tell::No),
                    Err(MessageError::Malformed(violation)) => Err(Broken::Violation(violation)),
                    Err(MessageError::TooLarge) => Err(Broken::Violation(Violation::stream(
                        ErrorCode::H3_EXCESSIVE_LOAD,
                        "trailers are larger than we take",
                    ))),
                }
            }
            (Some(Frame::Data(_) | Frame::Headers(_)), Order::Trailed | Order::Ended) => {
                Err(Broken::Violation(BEHIND_TRAILERS))
            }
            (Some(Frame::Settings(_) | Frame::Goaway(_)), _) => unreachable!("a request's decoder refuses them"),
            (None, _) if self.left.is_none_or(|left| left == 0) => {
                self.order = Order::Ended;
                Ok(self.exchange.finished_reading())
            }
            (None, _) => Err(Broken::Violation(WRONG_LENGTH)),
        }
    }
}

/// How long things may take.
struct Times {
    /// Until the script answers.
    answer: Duration,
    /// Without the client taking any of the answer.
    stall: Duration,
}

/// Sends the answer as JavaScript gives it.
async fn respond(
    sending: &mut Sending,
    exchange: &Exchange,
    port: &Arc<Port>,
    times: Times,
    pending: Counted<'_>,
    answer: &mut Answer,
) -> Ended {
    let mut deadline = pin!(sleep(times.answer));
    let mut stopped = pin!(sending.stream.stopped());
    let mut pending = Some(pending);
    loop {
        let next = tokio::select! {
            biased;
            () = exchange.given_up.cancelled() => return Ended::GivenUp,
            next = exchange.next() => next,
            _code = &mut stopped => return Ended::Gone,
            () = &mut deadline, if pending.is_some() => return no_answer(sending, times.stall).await,
        };
        pending = None;
        *answer = Answer::Begun;
        match next {
            Next::Write(mut frames) => {
                if let Err(ended) = write(sending, &mut frames, exchange, port, times.stall).await {
                    return ended;
                }
            }
            Next::Finish => {
                if sending.stream.finish().is_err() {
                    return Ended::Gone;
                }
                return match timeout(times.stall, &mut stopped).await {
                    Ok(Ok(None)) => {
                        sending.finished = true;
                        Ended::Answered
                    }
                    Ok(Ok(Some(_)) | Err(_)) => Ended::Gone,
                    Err(_elapsed) => Ended::Late,
                };
            }
        }
    }
}

/// The answer to a request that the script has not answered in time.
async fn no_answer(sending: &mut Sending, stall: Duration) -> Ended {
    let bytes = super::request::status_bytes(503);
    // Errors mean that the client does not want the answer.
    let sent = async { sending.stream.write_all(&bytes).await.is_ok() && sending.stream.finish().is_ok() };
    if timeout(stall, sent).await == Ok(true) {
        let stopped = sending.stream.stopped();
        sending.finished = matches!(timeout(stall, stopped).await, Ok(Ok(None)));
    }
    Ended::Late
}

async fn write(
    sending: &mut Sending,
    mut frames: &mut [Bytes],
    exchange: &Exchange,
    port: &Arc<Port>,
    stall: Duration,
) -> Result<(), Ended> {
    while !frames.is_empty() {
        let written = tokio::select! {
            biased;
            () = exchange.given_up.cancelled() => return Err(Ended::GivenUp),
            written = timeout(stall, sending.stream.write_chunks(frames)) => written,
        };
        match written {
            Ok(Ok(written)) => {
                frames = &mut frames[written.chunks..];
                if exchange.sent(written.bytes) == Tell::Now {
                    port.emit(WebTransportEvent::Writable, 0, 0, Payload::None);
                }
            }
            Ok(Err(_)) => return Err(Ended::Gone),
            Err(_elapsed) => return Err(Ended::Late),
        }
    }
    Ok(())
}

/// A request as JavaScript reads it, in lines; no part can hold a line's end.
fn request_text(request: &PlainRequest, http3: &Http3, client: &[String]) -> String {
    let mut lines = vec![request.method.clone(), request.authority.clone(), request.path.clone()];
    lines.extend(address_lines(&http3.quic));
    lines.extend_from_slice(client);
    for Field { name, value } in &request.headers {
        lines.push(format!("{}: {}", text_of(name), text_of(value)));
    }
    lines.join("\n")
}
