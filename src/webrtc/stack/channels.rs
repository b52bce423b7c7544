//! The data channels of one association: <https://www.rfc-editor.org/rfc/rfc8831#section-6.4> and
//! <https://www.rfc-editor.org/rfc/rfc8832#section-6>.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use rtc::sctp::{Association, Event, PayloadProtocolIdentifier as Ppid, ReliabilityType, Stream, StreamEvent};

use super::dcep::{ChannelParameters, Message, Reliability};
use super::dtls::DtlsRole;
use super::packet::{self, Chunk};
use super::{Closed, StackEvent};

/// Where data goes that still arrives on a stream after we have reset it. The association would
/// keep it unread for ever, and then never finish the reset nor reopen its window.
pub(super) const SINK: u16 = 65535;
/// Whether a message is a string or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// UTF-8, as far as the peer keeps its word.
    Text,
    /// Bytes.
    Binary,
}

/// How a channel came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// We announce it with DATA_CHANNEL_OPEN.
    Announced,
    /// Both ends made it with the same id.
    Negotiated,
    /// The peer announced it.
    Incoming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    Open,
    /// Closed by us; queued messages go first.
    Flushing,
    /// The stream is reset; waiting for the peer's reset.
    Resetting,
}

pub(super) struct Channel {
    pub(super) parameters: ChannelParameters,
    pub(super) origin: Origin,
    pub(super) state: State,
    /// Whether someone takes its messages.
    pub(super) adopted: bool,
    pub(super) paused: bool,
    pub(super) unread: bool,
    pub(super) queue: VecDeque<(MessageKind, Bytes)>,
    /// Whether it stands in the list of channels that have something to send.
    pub(super) sending: bool,
    /// Bytes handed to the association and not yet acknowledged.
    pub(super) in_flight: usize,
    /// Bytes that left the queue since the last event about it.
    pub(super) sent: usize,
    /// Bytes of a message whose end has not come.
    pub(super) partial: usize,
    /// Why it ends, when not by either side's wish.
    pub(super) failure: Option<Closed>,
}

/// All channels, open or not.
#[derive(Default)]
pub(super) struct Channels {
    /// Our DTLS role, which decides whose identifiers are even.
    pub(super) role: Option<DtlsRole>,
    pub(super) connected: bool,
    pub(super) max_message_size: usize,
    pub(super) send_window: usize,
    pub(super) channels: HashMap<u16, Channel>,
    pub(super) in_flight: usize,
    pub(super) sending: VecDeque<u16>,
    pub(super) readable: VecDeque<u16>,
    pub(super) diverted: HashSet<u16>,
    /// Streams that the peer has reset while data was on its way to it, each with the first TSN that
    /// belongs to a new channel on it; see [`Self::outgoing`].
    leftovers: HashMap<u16, Option<u32>>,
    pub(super) early: VecDeque<(u16, MessageKind, Bytes)>,
    pub(super) early_bytes: usize,
    /// The highest TSN that has come.
    pub(super) highest: Option<u32>,
    /// The last packet with user data; see [`Self::window_update`].
    pub(super) last_data: Option<Bytes>,
    pub(super) reopened: bool,
    pub(super) events: VecDeque<StackEvent>,
}

impl Channels {
    /// The association is connected: opens what waits for it and reads what came too early.
    pub(super) fn connect(&mut self, now: Instant, role: DtlsRole, sizes: (u32, usize), association: &mut Association) {
        self.role = Some(role);
        self.connected = true;
        (self.max_message_size, self.send_window) = (sizes.0 as usize, sizes.1);
        let mut waiting: Vec<u16> = self.channels.keys().copied().collect();
        waiting.sort_unstable();
        for id in waiting {
            self.establish(now, id, association);
        }
        self.readable.extend(association.stream_ids());
    }

    /// Makes a channel. It opens at once or when the association is connected.
    pub(super) fn open(
        &mut self,
        now: Instant,
        id: u16,
        origin: Origin,
        parameters: ChannelParameters,
        association: Option<&mut Association>,
    ) {
        if self.channels.contains_key(&id) || id == SINK || self.diverted.contains(&id) {
            self.events.push_back(StackEvent::ChannelClosed {
                id,
                closed: Closed::Failed("the id is in use".into()),
            });
            return;
        }
        self.insert(id, origin, parameters, true);
        if let Some(association) = association.filter(|_| self.connected) {
            self.establish(now, id, association);
        }
    }

    pub(super) fn insert(&mut self, id: u16, origin: Origin, parameters: ChannelParameters, adopted: bool) {
        let channel = Channel {
            parameters,
            origin,
            state: State::Connecting,
            adopted,
            paused: false,
            unread: false,
            queue: VecDeque::new(),
            sending: false,
            in_flight: 0,
            sent: 0,
            partial: 0,
            failure: None,
        };
        self.channels.insert(id, channel);
    }

    fn establish(&mut self, now: Instant, id: u16, association: &mut Association) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        // The peer's data may have made the stream already.
        let stream = match association.stream_ids().contains(&id) {
            true => association.stream(id),
            false => association.open_stream(id, Ppid::Binary),
        };
        let Ok(mut stream) = stream else {
            self.channels.remove(&id);
            self.events.push_back(StackEvent::ChannelClosed {
                id,
                closed: Closed::Failed("no such stream".into()),
            });
            return;
        };
        if channel.origin == Origin::Announced {
            // Until the peer knows the channel its messages must not overtake the announcement
            // (RFC 8832 section 6).
            set_reliability(&mut stream, &channel.parameters, false);
            let open = Message::Open(channel.parameters.clone()).encode();
            channel.in_flight += open.len();
            self.in_flight += open.len();
            if stream.write_chunk_with_ppi(now, &open, Ppid::Dcep).is_err() {
                self.events.push_back(StackEvent::ChannelClosed {
                    id,
                    closed: Closed::Transport,
                });
                self.channels.remove(&id);
                return;
            }
        } else {
            set_reliability(&mut stream, &channel.parameters, channel.parameters.unordered);
        }
        if channel.state == State::Connecting {
            channel.state = State::Open;
            self.events.push_back(StackEvent::ChannelOpen(id));
        }
        self.readable.push_back(id);
        for (early, kind, data) in std::mem::take(&mut self.early) {
            if early == id {
                self.early_bytes -= data.len();
                self.events.push_back(StackEvent::Message { id, kind, data });
            } else {
                self.early.push_back((early, kind, data));
            }
        }
    }

    /// The parameters of a channel that the peer announced and nobody has taken yet.
    pub(super) fn adopt(&mut self, id: u16) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.adopted = true;
            self.readable.push_back(id);
        }
    }

    /// Stops taking messages, which fills the association's window and so stops the peer.
    pub(super) fn pause(&mut self, id: u16) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.paused = true;
        }
    }

    /// Takes messages again.
    pub(super) fn resume(&mut self, id: u16) {
        if let Some(channel) = self.channels.get_mut(&id)
            && std::mem::take(&mut channel.paused)
            && std::mem::take(&mut channel.unread)
        {
            self.reopened = true;
            self.readable.push_back(id);
        }
    }

    /// Queues a message. A channel that is not open drops it: its closing has been said.
    pub(super) fn send(&mut self, id: u16, kind: MessageKind, data: Bytes) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if matches!(channel.state, State::Connecting | State::Open) {
            channel.queue.push_back((kind, data));
            if !std::mem::replace(&mut channel.sending, true) {
                self.sending.push_back(id);
            }
        }
    }

    /// Ends a channel after what is queued has been sent.
    pub(super) fn close(&mut self, id: u16) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        match channel.state {
            State::Connecting => {
                self.channels.remove(&id);
                self.events.push_back(StackEvent::ChannelClosed {
                    id,
                    closed: Closed::Finished,
                });
            }
            State::Open => {
                channel.state = State::Flushing;
                if !std::mem::replace(&mut channel.sending, true) {
                    self.sending.push_back(id);
                }
            }
            State::Flushing | State::Resetting => {}
        }
    }

    pub(super) fn fail(&mut self, id: u16, why: &str) {
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.queue.clear();
            channel.failure = Some(Closed::Failed(why.into()));
            self.close(id);
        }
    }

    #[cfg(test)]
    pub(super) fn fails(&self, id: u16) -> bool {
        self.channels.get(&id).is_some_and(|channel| channel.failure.is_some())
    }

    /// Moves queued messages into the association, in turn, as far as its window lasts.
    pub(super) fn flush(&mut self, now: Instant, association: &mut Association) {
        let mut touched = Vec::new();
        while let Some(&id) = self.sending.front() {
            let Some(channel) = self.channels.get_mut(&id) else {
                self.sending.pop_front();
                continue;
            };
            if channel.state == State::Connecting || channel.queue.is_empty() {
                channel.sending = false;
                self.sending.pop_front();
                if channel.state == State::Flushing {
                    self.reset(now, id, association);
                }
                continue;
            }
            if self.in_flight >= self.send_window {
                break;
            }
            let Some((kind, data)) = channel.queue.pop_front() else {
                continue;
            };
            let (ppid, payload) = match (kind, data.is_empty()) {
                (MessageKind::Text, false) => (Ppid::String, data),
                (MessageKind::Binary, false) => (Ppid::Binary, data),
                // SCTP has no empty messages (RFC 8831 section 6.6).
                (MessageKind::Text, true) => (Ppid::StringEmpty, Bytes::from_static(&[0])),
                (MessageKind::Binary, true) => (Ppid::BinaryEmpty, Bytes::from_static(&[0])),
            };
            let written = association
                .stream(id)
                .and_then(|mut stream| stream.write_chunk_with_ppi(now, &payload, ppid));
            if written.is_err() {
                self.fail(id, "the message could not be sent");
                continue;
            }
            if channel.sent == 0 {
                touched.push(id);
            }
            if !matches!(ppid, Ppid::StringEmpty | Ppid::BinaryEmpty) {
                channel.sent += payload.len();
            }
            channel.in_flight += payload.len();
            self.in_flight += payload.len();
            self.sending.rotate_left(1);
        }
        for id in touched {
            if let Some(channel) = self.channels.get_mut(&id)
                && channel.sent > 0
            {
                let bytes = std::mem::take(&mut channel.sent);
                self.events.push_back(StackEvent::Sent { id, bytes });
            }
        }
    }

    fn reset(&mut self, now: Instant, id: u16, association: &mut Association) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.state = State::Resetting;
        if let Ok(mut stream) = association.stream(id) {
            // After this nothing can be read any more; unread messages would hold the reset up.
            while let Ok(Some(_)) = stream.read_sctp() {}
            self.reopened = true;
            if stream.close(now).is_ok() {
                self.diverted.insert(id);
                return;
            }
        }
        self.end(id, Closed::Finished);
    }

    fn end(&mut self, id: u16, closed: Closed) {
        self.diverted.remove(&id);
        if let Some(channel) = self.channels.remove(&id) {
            self.in_flight = self.in_flight.saturating_sub(channel.in_flight);
            if channel.in_flight > 0 {
                self.leftovers.insert(id, None);
            }
            let closed = channel.failure.unwrap_or(closed);
            if channel.state == State::Open {
                self.events.push_back(StackEvent::ChannelClosing(id));
            }
            self.events.push_back(StackEvent::ChannelClosed { id, closed });
        }
    }

    /// Looks at a packet before it is sent; says what to send instead. The crate goes on sending what was queued on a
    /// stream after the peer has reset it, with sequence numbers for which the peer would wait for ever.
    pub(super) fn outgoing(&mut self, packet: Bytes) -> Bytes {
        if self.leftovers.is_empty() {
            return packet;
        }
        let (channels, leftovers) = (&self.channels, &mut self.leftovers);
        packet::divert(&packet, SINK, |chunk| {
            let Chunk::Data {
                stream,
                tsn,
                first,
                unordered,
                ..
            } = chunk
            else {
                return false;
            };
            let Some(boundary) = leftovers.get_mut(stream) else {
                return false;
            };
            if boundary.is_none() && channels.contains_key(stream) && (*first || *unordered) {
                *boundary = Some(*tsn);
            }
            // Serial number arithmetic.
            boundary.is_none_or(|boundary| (tsn.wrapping_sub(boundary) as i32) < 0)
        })
    }

    /// Everything that was sent has been acknowledged.
    pub(super) fn settle(&mut self) {
        self.leftovers.clear();
    }

    /// The association is gone, and every channel with it.
    pub(super) fn end_all(&mut self) {
        let mut ids: Vec<u16> = self.channels.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.end(id, Closed::Transport);
        }
    }

    /// Takes one of the association's events.
    pub(super) fn handle_event(&mut self, event: Event, association: &mut Association) {
        match event {
            Event::Stream(StreamEvent::Readable { id: SINK }) => {
                if let Ok(mut stream) = association.stream(SINK) {
                    while let Ok(Some(_)) = stream.read_sctp() {}
                }
            }
            Event::Stream(StreamEvent::Readable { id }) if self.readable.back() != Some(&id) => {
                self.readable.push_back(id);
            }
            Event::Stream(StreamEvent::BufferedAmountReleased { id, n_bytes }) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    let released = n_bytes.min(channel.in_flight);
                    channel.in_flight -= released;
                    self.in_flight -= released;
                }
            }
            // Said of a stream: it was reset, or all of them have gone.
            Event::AssociationLost { id, .. } => {
                let closed = match association.is_closed() {
                    true => Closed::Transport,
                    false => Closed::Finished,
                };
                self.end(id, closed);
            }
            // Handshake events are the association's owner's; the enum is the crate's and open.
            _ => {}
        }
    }

    /// RFC 8832 section 6: the DTLS client opens even streams, the server odd ones.
    pub(super) fn is_peers(&self, id: u16) -> bool {
        match self.role {
            Some(DtlsRole::Client) => id % 2 == 1,
            Some(DtlsRole::Server) => id.is_multiple_of(2) && id != SINK,
            None => false,
        }
    }
}

pub(super) fn set_reliability(stream: &mut Stream<'_>, parameters: &ChannelParameters, unordered: bool) {
    let (kind, value) = match parameters.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::Retransmits(count) => (ReliabilityType::Rexmit, count),
        Reliability::LifetimeMs(milliseconds) => (ReliabilityType::Timed, milliseconds),
    };
    // The stream exists, so this cannot fail.
    let _ = stream.set_reliability_params(unordered, kind, value);
}
