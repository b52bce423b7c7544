//! The receiving half of the data channels: <https://www.rfc-editor.org/rfc/rfc8831#section-6.6>.

use std::time::Instant;

use bytes::Bytes;
use rtc::sctp::{Association, Chunks, PayloadProtocolIdentifier as Ppid};

use super::StackEvent;
use super::channels::{Channels, MessageKind, Origin, SINK, State, set_reliability};
use super::dcep::Message;
use super::packet::{self, Chunk};

/// Messages kept for streams on which nothing has been opened yet.
const MAX_EARLY_BYTES: usize = 256 * 1024;
const MAX_EARLY_MESSAGES: usize = 64;

impl Channels {
    /// Looks at a packet before the association does; says what to give it instead.
    pub(super) fn inspect(&mut self, packet: Bytes, association: &mut Association) -> Bytes {
        let mut divert = false;
        let mut has_data = false;
        let mut too_long = None;
        for chunk in packet::chunks(&packet) {
            match chunk {
                Chunk::Init => {}
                Chunk::Abort => self.read_all(association),
                Chunk::Data {
                    stream,
                    tsn,
                    payload,
                    begins,
                    ends,
                    ..
                } => {
                    divert |= self.diverted.contains(&stream);
                    has_data = true;
                    // Serial number arithmetic. What is sent again is not counted again.
                    let is_new = self
                        .highest
                        .is_none_or(|highest| (tsn.wrapping_sub(highest) as i32) > 0);
                    if is_new {
                        self.highest = Some(tsn);
                    }
                    if is_new
                        && (!begins || !ends)
                        && let Some(channel) = self.channels.get_mut(&stream)
                    {
                        channel.partial = if ends { 0 } else { channel.partial + payload };
                        // Twice, since an end that was lost is not seen here.
                        if channel.partial > 2 * self.max_message_size {
                            too_long = Some(stream);
                        }
                    }
                }
            }
        }
        if let Some(id) = too_long {
            self.fail(id, "the peer's message is too long");
        }
        if has_data {
            self.last_data = Some(packet.clone());
        }
        match divert {
            true => packet::divert(&packet, SINK, |chunk| match chunk {
                Chunk::Data { stream, .. } => self.diverted.contains(stream),
                Chunk::Init | Chunk::Abort => false,
            }),
            false => packet,
        }
    }

    /// A packet to give to the association after unread messages have been read. Reading does not
    /// make it say that its window is open again, and the peer would find out by a timeout of
    /// seconds; a repeated packet makes it acknowledge.
    pub(super) fn window_update(&mut self) -> Option<Bytes> {
        let packet = if std::mem::take(&mut self.reopened) {
            self.last_data.take()
        } else {
            None
        };
        packet.as_ref().and_then(packet::acknowledgement_request)
    }

    /// Reads one message, if there is one that someone takes.
    pub(super) fn poll_message(&mut self, now: Instant, association: &mut Association) -> Option<StackEvent> {
        while let Some(&id) = self.readable.front() {
            if let Some(channel) = self.channels.get_mut(&id)
                && channel.state == State::Open
                && (channel.paused || !channel.adopted)
            {
                channel.unread = true;
                self.readable.pop_front();
                continue;
            }
            match association.stream(id).and_then(|mut stream| stream.read_sctp()) {
                Ok(Some(chunks)) => {
                    if let Some(event) = self.take(now, id, &chunks, association) {
                        return Some(event);
                    }
                }
                Ok(None) | Err(_) => {
                    self.readable.pop_front();
                }
            }
        }
        None
    }

    /// Moves everything unread into events, room or not: the association is about to end.
    fn read_all(&mut self, association: &mut Association) {
        for id in association.stream_ids() {
            if !self
                .channels
                .get(&id)
                .is_some_and(|channel| channel.state == State::Open)
            {
                continue;
            }
            while let Ok(Some(chunks)) = association.stream(id).and_then(|mut stream| stream.read_sctp()) {
                if let Some((kind, data)) = payload(&chunks, self.max_message_size).ok().flatten() {
                    self.events.push_back(StackEvent::Message { id, kind, data });
                }
            }
        }
    }

    /// One message that the peer sent on a stream.
    fn take(&mut self, now: Instant, id: u16, chunks: &Chunks, association: &mut Association) -> Option<StackEvent> {
        if chunks.ppi == Ppid::Dcep {
            return self.handle_dcep(now, id, chunks, association);
        }
        match (payload(chunks, self.max_message_size), self.channels.get(&id)) {
            (Ok(Some((kind, data))), Some(channel)) => {
                (channel.state == State::Open).then_some(StackEvent::Message { id, kind, data })
            }
            (Ok(Some((kind, data))), None) => {
                // A negotiated channel that our side has not made yet.
                if self.early.len() < MAX_EARLY_MESSAGES && self.early_bytes + data.len() <= MAX_EARLY_BYTES {
                    self.early_bytes += data.len();
                    self.early.push_back((id, kind, data));
                }
                None
            }
            (Ok(None), _) => None,
            (Err(TooLong), _) => {
                self.fail(id, "the peer's message is too long");
                None
            }
        }
    }

    fn handle_dcep(
        &mut self,
        now: Instant,
        id: u16,
        chunks: &Chunks,
        association: &mut Association,
    ) -> Option<StackEvent> {
        // Two texts of 65,535 bytes and the header.
        let message = chunks
            .to_payload(2 * 65535 + 12)
            .ok()
            .and_then(|bytes| Message::parse(&bytes));
        let peers = self.is_peers(id);
        match (message, self.channels.get(&id)) {
            (Some(Message::Ack), Some(channel)) => {
                if channel.origin == Origin::Announced
                    && let Ok(mut stream) = association.stream(id)
                {
                    set_reliability(&mut stream, &channel.parameters, channel.parameters.unordered);
                }
                None
            }
            (Some(Message::Open(parameters)), None) if peers => {
                let mut stream = association.stream(id).ok()?;
                set_reliability(&mut stream, &parameters, parameters.unordered);
                let ack = Message::Ack.encode();
                // Fails only when the association has ended.
                stream.write_chunk_with_ppi(now, &ack, Ppid::Dcep).ok()?;
                self.insert(id, Origin::Incoming, parameters.clone(), false);
                let channel = self.channels.get_mut(&id)?;
                channel.state = State::Open;
                channel.in_flight = ack.len();
                self.in_flight += ack.len();
                Some(StackEvent::IncomingChannel { id, parameters })
            }
            (Some(Message::Open(_)), None) => {
                // Not the peer's to open: send the stream back. It is no channel of ours to lose.
                let _ = association.stream(id).and_then(|mut stream| stream.close(now));
                self.diverted.insert(id);
                None
            }
            (None, Some(_)) => {
                self.fail(id, "malformed DATA_CHANNEL_OPEN or ACK");
                None
            }
            // Said twice, or about nothing.
            (Some(Message::Open(_)), Some(_)) | (Some(Message::Ack) | None, None) => None,
        }
    }
}

struct TooLong;

/// The message, or `None` when its payload protocol is not one of ours.
fn payload(chunks: &Chunks, max_message_size: usize) -> Result<Option<(MessageKind, Bytes)>, TooLong> {
    let (kind, empty) = match chunks.ppi {
        Ppid::String => (MessageKind::Text, false),
        Ppid::Binary => (MessageKind::Binary, false),
        Ppid::StringEmpty => (MessageKind::Text, true),
        Ppid::BinaryEmpty => (MessageKind::Binary, true),
        // The enum is the crate's and open.
        _ => return Ok(None),
    };
    if empty {
        return Ok(Some((kind, Bytes::new())));
    }
    let data = chunks.to_payload(max_message_size).map_err(|_| TooLong)?;
    Ok(Some((kind, data.freeze())))
}
