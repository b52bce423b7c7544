//! Runs the [`Stack`] of one connection: sockets, timers and commands in, events out.
//!
//! One task owns a connection. Each turn takes the commands, then what the sockets have, then what is due, and
//! repeats output until nothing is left, so that nothing waits for the next turn. Receive buffers belong to the thread.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

use super::command::{Command, Connection, Policy, TEXT_FRAME, lock};
use super::data_transport::{DataChannelClose, DataTransportEvent};
use super::gatherer;
use super::peer_transport::{
    DtlsTransportState, IceGatheringState, IceTransportState, PeerTransportEvent, SctpTransportState, TransportFailure,
};
use super::stack::{
    ChannelParameters, Closed, Credentials, DtlsFailure, IceState, MessageKind, Origin, SctpParameters, Stack,
    StackEvent, Transmit,
};
use super::udp::{Run, Udp};
use crate::hub::{Payload, Port, Terminal};

/// Batches received before output gets its turn: bounds the work of a turn, not the data.
const BATCHES_A_TURN: usize = 8;
/// Of the granted receive buffer; the rest is the kernel's own bookkeeping.
const WINDOW_PERCENT: usize = 60;
/// A longer window only costs more CPU.
const MAX_WINDOW: usize = 1024 * 1024;
/// A message of the longest size and some more must fit, or it would never be complete.
const MIN_RECEIVE_WINDOW: usize = 384 * 1024;
const MIN_SEND_WINDOW: usize = 64 * 1024;

/// Starts a connection's task.
pub(super) fn start(connection: &Arc<Connection>, stack: Stack, policy: Policy, port: &Arc<Port>) {
    let driver = Driver {
        connection: connection.clone(),
        port: port.clone(),
        stack,
        policy,
        sockets: Vec::new(),
        candidates: Vec::new(),
        gathered: None,
        generation: 0,
        channels: Channels::default(),
        orphans: HashMap::new(),
        held: None,
        next: None,
        closing: false,
    };
    let terminal = Terminal {
        event: PeerTransportEvent::Closed as i32,
        a: TransportFailure::Internal as u32,
        b: 0,
    };
    port.spawn(terminal, driver.run());
}

/// The channels' ways up. Each gets its terminal event even if the task panics.
#[derive(Default)]
struct Channels(HashMap<u16, Arc<Port>>);

impl Channels {
    fn end(&mut self, id: u16, closed: &Closed) {
        if let Some(port) = self.0.remove(&id) {
            end_channel(&port, closed);
        }
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        for port in self.0.values() {
            end_channel(port, &Closed::Transport);
        }
    }
}

fn end_channel(port: &Arc<Port>, closed: &Closed) {
    let (close, why) = match closed {
        Closed::Finished => (DataChannelClose::Finished, ""),
        Closed::Transport => (DataChannelClose::TransportClosed, ""),
        Closed::Failed(why) => (DataChannelClose::Failed, why.as_str()),
    };
    port.emit_terminal(DataTransportEvent::Closed, close as u32, 0, Payload::Text(why));
}

/// What came for a channel that the peer opened before JavaScript took it.
#[derive(Default)]
struct Orphan {
    messages: Vec<(MessageKind, Bytes)>,
    closed: Option<Closed>,
}

struct Driver {
    connection: Arc<Connection>,
    port: Arc<Port>,
    stack: Stack,
    policy: Policy,
    sockets: Vec<Udp>,
    candidates: Vec<String>,
    gathered: Option<Credentials>,
    generation: u32,
    channels: Channels,
    orphans: HashMap<u16, Orphan>,
    /// A run that the socket had no room for.
    held: Option<Run>,
    /// A datagram that did not fit into the run before it.
    next: Option<Transmit>,
    closing: bool,
}

impl Driver {
    async fn run(mut self) {
        let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut armed = None;
        loop {
            let now = Instant::now();
            let more = self.turn(now);
            if self.closing {
                break;
            }
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            let due = self.stack.poll_timeout();
            // A timer that rings too early costs less than moving it at each packet.
            if let Some(due) = due
                && armed.is_none_or(|armed| due < armed || armed <= now)
            {
                sleep.as_mut().reset(due.into());
                armed = Some(due);
            }
            let connection = self.connection.clone();
            let mut wake = std::pin::pin!(connection.wake.notified());
            poll_fn(|context| {
                if wake.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                // By `&mut`: the stack is no `Sync`.
                self.poll_ready(context, due.map(|_| sleep.as_mut()))
            })
            .await;
        }
        self.end();
    }

    fn poll_ready(&mut self, context: &mut Context<'_>, sleep: Option<Pin<&mut Sleep>>) -> Poll<()> {
        if sleep.is_some_and(|sleep| sleep.poll(context).is_ready()) {
            return Poll::Ready(());
        }
        for socket in &self.sockets {
            // An error is seen again, and dealt with, when receiving.
            if socket.poll_receive(context).is_ready() {
                return Poll::Ready(());
            }
        }
        match self.held.as_ref().and_then(|run| self.socket(run.local())) {
            Some(socket) => socket.poll_send(context).map(|_| ()),
            None => Poll::Pending,
        }
    }

    fn socket(&self, address: SocketAddr) -> Option<&Udp> {
        self.sockets.iter().find(|socket| socket.address() == address)
    }

    /// One turn; true when more is waiting already.
    fn turn(&mut self, now: Instant) -> bool {
        let commands = std::mem::take(&mut *lock(&self.connection.commands));
        for command in commands {
            self.execute(now, command);
        }
        let more = self.receive(now);
        if self.stack.poll_timeout().is_some_and(|due| due <= now) {
            self.stack.handle_timeout(now);
        }
        loop {
            let heard = self.pass_events(now);
            let sent = self.transmit(now);
            if !heard && !sent {
                return more;
            }
        }
    }

    fn receive(&mut self, now: Instant) -> bool {
        let stack = &mut self.stack;
        let mut more = false;
        self.sockets.retain(|socket| {
            for _ in 0..BATCHES_A_TURN {
                match socket.receive(|path, datagram| stack.handle_input(now, path, datagram)) {
                    Ok(true) => {}
                    Ok(false) => return true,
                    // The interface has gone; ICE finds that this pair is dead.
                    Err(_) => return false,
                }
            }
            more = true;
            true
        });
        more
    }

    /// Sends what may be sent; true when there was something.
    fn transmit(&mut self, now: Instant) -> bool {
        let mut sent = false;
        loop {
            let run = match self.held.take() {
                Some(run) => run,
                None => match self.next_run(now) {
                    Some(run) => run,
                    None => return sent,
                },
            };
            // A socket that has gone loses it, as UDP may.
            if self.socket(run.local()).is_some_and(|socket| !socket.send(&run)) {
                self.held = Some(run);
                return sent;
            }
            sent = true;
        }
    }

    fn next_run(&mut self, now: Instant) -> Option<Run> {
        let first = self.next.take().or_else(|| self.stack.poll_transmit(now))?;
        let max_segments = self.socket(first.path.local).map_or(1, Udp::max_segments);
        let mut run = Run::new(first);
        while let Some(transmit) = self.stack.poll_transmit(now) {
            self.next = run.push(transmit, max_segments);
            if self.next.is_some() {
                break;
            }
        }
        Some(run)
    }

    fn execute(&mut self, now: Instant, command: Command) {
        match command {
            Command::Gather(credentials) => self.gather(now, credentials),
            Command::SetRemote(credentials, role) => self.stack.set_remote_credentials(now, credentials, role),
            Command::AddCandidate(candidate) => self.stack.add_remote_candidate(now, candidate),
            Command::EndOfCandidates => self.stack.end_remote_candidates(),
            Command::StartDtls(role, fingerprints) => self.stack.start_dtls(now, role, fingerprints),
            Command::StartSctp {
                local_port,
                remote_port,
                max_message_size,
            } => {
                let granted = self.sockets.iter().map(Udp::receive_buffer).min().unwrap_or_default();
                let window = (granted * WINDOW_PERCENT / 100).min(MAX_WINDOW);
                let parameters = SctpParameters {
                    remote_port,
                    local_port,
                    receive_window: window.max(MIN_RECEIVE_WINDOW) as u32,
                    send_window: window.max(MIN_SEND_WINDOW),
                    max_message_size,
                };
                self.stack.start_sctp(now, parameters);
            }
            Command::Open {
                id,
                origin,
                parameters,
                port,
            } => self.open(now, id, origin, parameters, port),
            Command::Send { id, kind, data } => self.stack.send(id, kind, data),
            Command::SendBatch { id, frames, mut data } => {
                for frame in frames {
                    let kind = if frame & TEXT_FRAME == 0 {
                        MessageKind::Binary
                    } else {
                        MessageKind::Text
                    };
                    let length = ((frame & !TEXT_FRAME) as usize).min(data.len());
                    self.stack.send(id, kind, data.split_to(length));
                }
            }
            Command::Room(id) => self.stack.resume_channel(id),
            Command::CloseChannel(id) => self.stack.close_channel(id),
            Command::Close => {
                self.stack.close(now);
                self.closing = true;
            }
        }
    }

    /// Binds sockets at first; a restart uses them again.
    fn gather(&mut self, now: Instant, credentials: Credentials) {
        if self.gathered.as_ref() == Some(&credentials) {
            return;
        }
        if self.gathered.replace(credentials.clone()).is_some() {
            self.generation += 1;
        }
        self.gathering(IceGatheringState::Gathering);
        self.stack.set_local_credentials(now, credentials);
        if self.sockets.is_empty() && self.policy == Policy::All {
            for socket in gatherer::gather() {
                if let Some(candidate) = self.stack.add_local_candidate(now, socket.address()) {
                    self.candidates.push(candidate);
                    self.sockets.push(socket);
                }
            }
        }
        for candidate in &self.candidates {
            let event = PeerTransportEvent::LocalCandidate;
            self.port.emit(event, 0, self.generation, Payload::Text(candidate));
        }
        self.gathering(IceGatheringState::Complete);
    }

    fn gathering(&self, state: IceGatheringState) {
        let event = PeerTransportEvent::GatheringState;
        self.port.emit(event, state as u32, self.generation, Payload::None);
    }

    fn open(&mut self, now: Instant, id: u16, origin: Origin, parameters: ChannelParameters, port: Arc<Port>) {
        if self.channels.0.contains_key(&id) {
            end_channel(&port, &Closed::Failed("the id is in use".into()));
            return;
        }
        let connection = Arc::downgrade(&self.connection);
        port.on_room(move || {
            if let Some(connection) = connection.upgrade() {
                connection.command(Command::Room(id));
            }
        });
        if origin != Origin::Incoming {
            self.channels.0.insert(id, port);
            self.stack.open_channel(now, id, origin, parameters);
            return;
        }
        lock(&self.connection.incoming).remove(&id);
        let Some(orphan) = self.orphans.remove(&id) else {
            end_channel(&port, &Closed::Failed("nobody opened this channel".into()));
            return;
        };
        port.emit(DataTransportEvent::Open, u32::from(id), 0, Payload::None);
        for (kind, data) in orphan.messages {
            emit_message(&port, kind, data);
        }
        match orphan.closed {
            Some(closed) => end_channel(&port, &closed),
            None => {
                self.channels.0.insert(id, port);
                self.stack.adopt_channel(id);
            }
        }
    }

    /// Tells JavaScript what has happened; true when there was something.
    fn pass_events(&mut self, now: Instant) -> bool {
        let mut heard = false;
        while let Some(event) = self.stack.poll_event(now) {
            heard = true;
            self.pass(event);
        }
        heard
    }

    fn pass(&mut self, event: StackEvent) {
        use PeerTransportEvent as Event;
        match event {
            StackEvent::Message { id, kind, data } => self.pass_message(id, kind, data),
            StackEvent::Sent { id, bytes } => {
                if let Some(port) = self.channels.0.get(&id) {
                    // What is buffered is far below 4 GiB.
                    port.emit(DataTransportEvent::Sent, bytes as u32, 0, Payload::None);
                }
            }
            StackEvent::ChannelOpen(id) => {
                if let Some(port) = self.channels.0.get(&id) {
                    port.emit(DataTransportEvent::Open, u32::from(id), 0, Payload::None);
                }
            }
            StackEvent::ChannelClosing(id) => {
                if let Some(port) = self.channels.0.get(&id) {
                    port.emit(DataTransportEvent::Closing, 0, 0, Payload::None);
                }
            }
            StackEvent::ChannelClosed { id, closed } => match self.orphans.get_mut(&id) {
                Some(orphan) => orphan.closed = Some(closed),
                None => self.channels.end(id, &closed),
            },
            StackEvent::IncomingChannel { id, parameters } => {
                lock(&self.connection.incoming).insert(id, parameters);
                self.orphans.insert(id, Orphan::default());
                self.emit(Event::DataChannel, u32::from(id), 0, Payload::None);
            }
            StackEvent::Ice(state) => {
                let state = match state {
                    IceState::New => IceTransportState::New,
                    IceState::Checking => IceTransportState::Checking,
                    IceState::Connected => IceTransportState::Connected,
                    IceState::Disconnected => IceTransportState::Disconnected,
                    IceState::Failed => IceTransportState::Failed,
                };
                self.emit(Event::IceState, state as u32, 0, Payload::None);
            }
            StackEvent::SelectedPair { local, remote } => {
                self.emit(Event::SelectedPair, 0, 0, Payload::Text(&format!("{local}\n{remote}")));
            }
            StackEvent::DtlsConnecting => {
                self.dtls(DtlsTransportState::Connecting, TransportFailure::None, Payload::None)
            }
            StackEvent::DtlsConnected { certificate } => {
                self.dtls(
                    DtlsTransportState::Connected,
                    TransportFailure::None,
                    Payload::Slice(&certificate),
                );
            }
            StackEvent::DtlsClosed => self.dtls(DtlsTransportState::Closed, TransportFailure::None, Payload::None),
            StackEvent::DtlsFailed(DtlsFailure::Fingerprint) => {
                let why = "the peer's certificate matches no fingerprint of its description";
                self.dtls(
                    DtlsTransportState::Failed,
                    TransportFailure::Fingerprint,
                    Payload::Text(why),
                );
            }
            StackEvent::DtlsFailed(DtlsFailure::Handshake(why)) => {
                self.dtls(DtlsTransportState::Failed, TransportFailure::Dtls, Payload::Text(&why));
            }
            StackEvent::SctpConnected { max_channels } => {
                let state = SctpTransportState::Connected as u32;
                self.emit(Event::SctpState, state, u32::from(max_channels), Payload::None);
            }
            StackEvent::SctpClosed => {
                self.emit(Event::SctpState, SctpTransportState::Closed as u32, 0, Payload::None);
            }
        }
    }

    fn pass_message(&mut self, id: u16, kind: MessageKind, data: Bytes) {
        if let Some(orphan) = self.orphans.get_mut(&id) {
            orphan.messages.push((kind, data));
        } else if let Some(port) = self.channels.0.get(&id) {
            emit_message(port, kind, data);
            if !port.has_room() {
                self.stack.pause_channel(id);
            }
        }
    }

    fn emit(&self, event: PeerTransportEvent, a: u32, b: u32, payload: Payload<'_>) {
        self.port.emit(event, a, b, payload);
    }

    fn dtls(&self, state: DtlsTransportState, failure: TransportFailure, payload: Payload<'_>) {
        self.emit(PeerTransportEvent::DtlsState, state as u32, failure as u32, payload);
    }

    /// After our own close.
    fn end(mut self) {
        std::mem::take(&mut self.channels);
        let none = TransportFailure::None as u32;
        self.port
            .emit_terminal(PeerTransportEvent::Closed, none, 0, Payload::None);
    }
}

fn emit_message(port: &Arc<Port>, kind: MessageKind, data: Bytes) {
    match kind {
        MessageKind::Binary => port.emit(DataTransportEvent::Binary, 0, 0, Payload::Bytes(data)),
        MessageKind::Text => match simdutf8::basic::from_utf8(&data) {
            Ok(text) => port.emit(DataTransportEvent::Text, 0, 0, Payload::Text(text)),
            // Each wrong sequence becomes U+FFFD, as a browser's decoder does.
            Err(_) => {
                let text = String::from_utf8_lossy(&data);
                port.emit(DataTransportEvent::Text, 0, 0, Payload::Text(&text))
            }
        },
    };
}
