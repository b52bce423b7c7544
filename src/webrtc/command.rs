//! The way down to a connection's task: what JavaScript asks for, in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::stack::{
    ChannelParameters, Credentials, DtlsRole, Fingerprint, IceRole, MessageKind, Origin, RemoteCandidate,
};
use crate::hub::Port;

/// What JavaScript asks of a connection.
pub(super) enum Command {
    Gather(Credentials),
    SetRemote(Credentials, IceRole),
    AddCandidate(RemoteCandidate),
    EndOfCandidates,
    StartDtls(DtlsRole, Vec<Fingerprint>),
    StartSctp {
        local_port: u16,
        remote_port: u16,
        max_message_size: u32,
    },
    Open {
        id: u16,
        origin: Origin,
        parameters: ChannelParameters,
        port: Arc<Port>,
    },
    Send {
        id: u16,
        kind: MessageKind,
        data: Bytes,
    },
    /// Many messages; each frame is a length with [`TEXT_FRAME`].
    SendBatch {
        id: u16,
        frames: Vec<u32>,
        data: Bytes,
    },
    /// The channel's consumer has room again.
    Room(u16),
    CloseChannel(u16),
    Close,
}

/// `RTCIceTransportPolicy`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Every candidate.
    All,
    /// Relayed candidates only, so that the peer learns no address of this machine.
    Relay,
}

/// Set in a frame's length when the message is text.
pub(super) const TEXT_FRAME: u32 = 0x8000_0000;

/// The way down to a connection's task. Its queue is bounded by what JavaScript lets be buffered.
#[derive(Default)]
pub(super) struct Connection {
    pub(super) commands: Mutex<Vec<Command>>,
    pub(super) wake: Notify,
    pub(super) incoming: Mutex<HashMap<u16, ChannelParameters>>,
}

impl Connection {
    /// Queues a command and wakes the task.
    pub(super) fn command(&self, command: Command) {
        let first = {
            let mut commands = lock(&self.commands);
            commands.push(command);
            commands.len() == 1
        };
        if first {
            self.wake.notify_one();
        }
    }

    /// What the peer asked for when it opened a channel that nobody has taken yet.
    pub(super) fn incoming(&self, id: u16) -> Option<ChannelParameters> {
        lock(&self.incoming).get(&id).cloned()
    }
}

/// A panic while a lock was held leaves the queue as it was: each change is one call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
