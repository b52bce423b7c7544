//! A connection's writing half: the send queue → socket.

use std::task::{Context, Poll};

use super::{Driver, Stage, yield_turn};
use crate::hub::Payload;
use crate::websocket::chunk::{Form, consume, slices};
use crate::websocket::connection::WebSocketEvent;

/// Bytes that are compressed in one turn: some milliseconds.
const COMPRESSED_A_TURN: usize = 256 * 1024;
/// Bytes that are written in one turn to a socket that takes more: then what the peer says is heard, and the thread's other
/// connections have their turn.
const WRITTEN_A_TURN: usize = 1024 * 1024;

impl Driver {
    /// Writes what waits, as far as the socket takes it. Pending: it takes no more, and wakes this task when it does.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut reported = 0;
        let mut in_this_turn = 0;
        let mut budget = COMPRESSED_A_TURN;
        let written = loop {
            if self.write_broken {
                self.writing.clear();
            }
            if self.writing.is_empty() {
                // TLS may have taken all and hold it back.
                if !self.write_broken && !self.poll_flushed(cx) {
                    break Poll::Pending;
                }
                let mut queue = self.link.outgoing.lock();
                reported += queue.take(&mut self.writing, cx.waker());
                if self.writing.is_empty() {
                    if !self.write_broken {
                        queue.closing.written();
                    }
                    break Poll::Ready(());
                }
                continue;
            }
            if in_this_turn >= WRITTEN_A_TURN || !self.compress(&mut budget) {
                yield_turn(cx);
                break Poll::Pending;
            }
            let (slices, count) = slices(&self.writing);
            match self.transport.poll_write(cx, &slices[..count]) {
                Poll::Ready(Ok(length)) if length > 0 => {
                    reported += consume(&mut self.writing, length);
                    in_this_turn += length;
                    if let Some(pulse) = &mut self.pulse {
                        pulse.took = true;
                    }
                    if self.stage == Stage::Closing {
                        self.set_deadline(self.limits.close_timeout);
                    }
                }
                // What the peer sent before it went away may still be read.
                Poll::Ready(Ok(_) | Err(_)) => self.write_broken = true,
                Poll::Pending => break Poll::Pending,
            }
        };
        if reported > 0 {
            self.link.outgoing.lock().gone(reported);
            let bytes = reported as u64;
            self.port.emit(
                WebSocketEvent::Drained,
                bytes as u32,
                (bytes >> 32) as u32,
                Payload::None,
            );
        }
        written
    }

    /// Makes frames of what is to be written next. False: there is more to compress than fits in this turn.
    fn compress(&mut self, budget: &mut usize) -> bool {
        let Some((front, compression)) = self.writing.front_mut().zip(self.compression.as_mut()) else {
            return true;
        };
        let frames = match &front.form {
            Form::Frames => return true,
            Form::Messages => compression.turn(front, budget),
            Form::Shared(_) if *budget == 0 => None,
            Form::Shared(shared) => {
                *budget = budget.saturating_sub(shared.length());
                Some(compression.share(shared))
            }
        };
        match frames {
            Some(frames) => {
                *front = frames;
                true
            }
            None => false,
        }
    }

    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> bool {
        match self.transport.poll_flush(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                self.write_broken = true;
                true
            }
            Poll::Pending => false,
        }
    }
}
