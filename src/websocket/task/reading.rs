//! A connection's reading half: socket → messages → hub.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};

use super::{Driver, Stage};
use crate::hub::{Burst, Payload};
use crate::websocket::block;
use crate::websocket::connection::WebSocketEvent;
use crate::websocket::message::{Failure, Incoming, Kind, LONG};
use crate::websocket::outgoing::KEEP_ALIVE_PING;

/// The block that a thread reads into: an idle connection has none.
const BLOCK: usize = 256 * 1024;
/// Bytes of one read: with short messages more would only keep the script waiting. Behind a long message another one is
/// likely: then it is what the block has room for.
const READ: usize = 64 * 1024;
/// Reads of one turn, so that one busy connection leaves room for the others of its thread.
const READS_A_TURN: usize = 16;

thread_local! {
    static CURRENT: RefCell<BytesMut> = RefCell::new(block::take(BLOCK));
}

/// What reading came to.
pub(super) enum Read {
    /// The socket has no more, or the script no room for it.
    Pending,
    /// The turn is over, the socket may have more.
    Yield,
    /// The transport has ended; perhaps with an error.
    Ended(Option<io::Error>),
}

impl Driver {
    /// Reads what the socket has, as far as the script has room for it.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Read {
        for _ in 0..READS_A_TURN {
            if self.is_reading() {
                if !self.poll_room(cx) {
                    return Read::Pending;
                }
                if std::mem::take(&mut self.interrupted) {
                    let mut rest = std::mem::take(&mut self.tail);
                    let done = self.parse(&mut rest);
                    self.fail_if(done);
                    return Read::Yield;
                }
                if let Some((buffer, limit)) = self.reader.payload_room()
                    && let Some(read) = self.transport.poll_read_onto(cx, buffer, limit)
                {
                    match read {
                        Poll::Ready(Ok(length)) if length > 0 => {
                            self.heard();
                            let done = self
                                .reader
                                .arrived(length)
                                .and_then(|()| self.parse(&mut BytesMut::new()));
                            self.fail_if(done);
                        }
                        Poll::Ready(ended) => return Read::Ended(ended.err()),
                        Poll::Pending => return Read::Pending,
                    }
                    continue;
                }
            }
            let read = CURRENT.with_borrow_mut(|block| {
                block.clear();
                let limit = if std::mem::take(&mut self.after_long) {
                    BLOCK
                } else {
                    READ
                };
                // Long messages were cut off its front.
                if block.capacity() < limit / 2 {
                    block::give_back(BLOCK, std::mem::replace(block, block::take(BLOCK)));
                }
                block.extend_from_slice(&self.tail);
                let read = self.transport.poll_append(cx, block.limit(limit));
                if let Poll::Ready(Ok(length)) = read
                    && length > 0
                    && self.is_reading()
                {
                    let done = self.parse(block);
                    self.fail_if(done);
                }
                read
            });
            match read {
                Poll::Ready(Ok(length)) if length > 0 => self.heard(),
                Poll::Ready(ended) => return Read::Ended(ended.err()),
                Poll::Pending => return Read::Pending,
            }
        }
        Read::Yield
    }

    /// A sign of life.
    fn heard(&mut self) {
        if let Some(pulse) = &mut self.pulse {
            pulse.heard = true;
        }
    }

    /// Whether what the peer sends still counts. Otherwise it is read only to see the end.
    fn is_reading(&self) -> bool {
        match self.stage {
            Stage::Open => true,
            Stage::Closing => self.link.outgoing.lock().closing.is_reading(),
            Stage::Waiting | Stage::Failing => false,
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool {
        // From a peer that is gone no more than what the system holds can come, and its end must not go unnoticed.
        if self.paused && !self.write_broken {
            return false;
        }
        if self.room.is_none() {
            if self.port.has_room() {
                return true;
            }
            let port = self.port.clone();
            self.room = Some(Box::pin(async move { port.room().await }));
        }
        let ready = self.room.as_mut().is_none_or(|room| room.as_mut().poll(cx).is_ready());
        if ready {
            self.room = None;
        }
        ready
    }

    /// Hands the messages in `input` on and keeps the rest.
    pub(super) fn parse(&mut self, input: &mut BytesMut) -> Result<(), Failure> {
        let port = self.port.clone();
        let mut script = port.burst();
        self.hand_on(input, &mut script)
    }

    fn hand_on(&mut self, input: &mut BytesMut, script: &mut Burst<'_>) -> Result<(), Failure> {
        let mut position = 0;
        while let Some(incoming) = self.reader.next(input, &mut position)? {
            // After the script's close() a WebSocket hears no message.
            let heard = self.stage == Stage::Open || self.limits.hears_until_close;
            match incoming {
                Incoming::Text(text) if heard => {
                    script.add(WebSocketEvent::Text, 0, 0, Payload::Text(text));
                }
                Incoming::Binary(data) if heard => {
                    script.add(WebSocketEvent::Binary, 0, 0, Payload::Slice(data));
                }
                Incoming::Assembled(kind, data) if heard => {
                    self.after_long = data.len() >= LONG;
                    script.add(event_of(kind), 0, 0, Payload::Bytes(data));
                }
                Incoming::Long(kind, place) => {
                    self.after_long = true;
                    let message = input.split_to(std::mem::take(&mut position)).freeze().slice(place);
                    if heard {
                        script.add(event_of(kind), 0, 0, Payload::Bytes(message));
                    }
                }
                Incoming::Text(_) | Incoming::Binary(_) | Incoming::Assembled(..) => {}
                Incoming::Ping(data) => {
                    if self.limits.auto_pong {
                        self.link.outgoing.lock().answer_ping(data);
                    }
                    if heard {
                        script.add(WebSocketEvent::Ping, 0, 0, Payload::Slice(data));
                    }
                }
                Incoming::Pong(data) => {
                    // The script hears of its own pings only.
                    if heard && (self.pulse.is_none() || data != KEEP_ALIVE_PING) {
                        script.add(WebSocketEvent::Pong, 0, 0, Payload::Slice(data));
                    }
                }
                Incoming::Pause => {
                    self.interrupted = true;
                    break;
                }
                Incoming::Close(frame) => {
                    let mut queue = self.link.outgoing.lock();
                    let first = queue.closing.is_open();
                    queue.closing.receive(frame.as_ref());
                    drop(queue);
                    self.reader.release();
                    if first {
                        script.add(WebSocketEvent::Closing, 0, 0, Payload::None);
                        self.stage = Stage::Closing;
                        self.set_deadline(self.limits.close_timeout);
                    }
                    self.tail.clear();
                    return Ok(());
                }
            }
        }
        self.reader.release();
        self.tail.clear();
        self.tail.extend_from_slice(&input[position..]);
        Ok(())
    }
}

fn event_of(kind: Kind) -> WebSocketEvent {
    match kind {
        Kind::Text => WebSocketEvent::Text,
        Kind::Binary => WebSocketEvent::Binary,
    }
}
