//! The connections of a client's sessions. Each has a task of its own, since sessions that share it may come and go; it ends
//! with the last of them. <https://fetch.spec.whatwg.org/#concept-connection-obtain>

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use quinn::Connection as Quic;
use tokio::sync::watch;

use super::cause::{self, Cause, UnderWay};
use super::client::Refused;
use super::dial::{self, Address};
use super::established::varint;
use super::http3::error_code::ErrorCode;
use super::limits::{Role, Shares};
use super::preferences::Preferences;
use super::task::{self, End, Http3};
use crate::environment::Environment;
use crate::tls::TlsOptions;

/// What two sessions must have in common to share a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) idle_timeout_ms: u32,
    pub(super) local_address: Option<IpAddr>,
    pub(super) preferences: Preferences,
    pub(super) tls: TlsOptions,
}

/// The connections of one environment that sessions may share.
#[derive(Default)]
struct Pool(Mutex<Vec<(Key, Weak<Connection>)>>);

impl Pool {
    fn connections(&self) -> MutexGuard<'_, Vec<(Key, Weak<Connection>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//  Connecting ──► Open ──► Ended
//      └─► Failed   └────► Defect
#[derive(Clone)]
enum Phase {
    /// With what is under way.
    Connecting(cause::Phase),
    Open(Arc<Http3>),
    /// There never was one.
    Failed(Cause),
    /// Its last session has left, or it was lost.
    Ended,
    /// Its task has panicked.
    Defect,
}

/// A connection, or the attempt to make one.
struct Connection {
    phase: watch::Sender<Phase>,
    /// How many sessions have a lease; those that come after the last has gone need another connection.
    leases: watch::Sender<usize>,
}

/// Which connection a session wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One that is there, if one has room.
    Any,
    /// One that is made now.
    New,
}

/// A session's hold on its connection.
pub(super) struct Lease {
    connection: Arc<Connection>,
    /// It was begun for another session.
    joined: bool,
}

impl Lease {
    /// A new connection that nobody shares.
    pub(super) fn dedicated(address: &Arc<Address>, environment: &Arc<Environment>) -> Self {
        let connection = Connection::begin(address, Shares::ALONE, environment);
        Self {
            connection,
            joined: false,
        }
    }

    /// A connection that was made with the same key and has room, or a new one for others to share.
    pub(super) fn pooled(key: &Key, address: &Arc<Address>, environment: &Arc<Environment>, wanted: Wanted) -> Self {
        let pool = environment.kept::<Pool>();
        let mut connections = pool.connections();
        connections.retain(|(_, connection)| connection.strong_count() > 0);
        if wanted == Wanted::Any {
            let same = connections.iter().filter(|(other, _)| other == key);
            let same: Vec<_> = same.filter_map(|(_, connection)| connection.upgrade()).collect();
            // To a server that lets nobody share there is nothing to wait for.
            let alone = same.iter().any(|connection| connection.is_alone());
            let open = same.iter().filter(|connection| connection.has_room());
            let connecting = same.iter().filter(|connection| !alone && connection.is_connecting());
            // Some of them may be ending: their last session has gone.
            if let Some(connection) = open.chain(connecting).find(|connection| connection.lease()) {
                let connection = connection.clone();
                return Self {
                    connection,
                    joined: true,
                };
            }
        }
        let connection = Connection::begin(address, Shares::client(), environment);
        connections.push((key.clone(), Arc::downgrade(&connection)));
        Self {
            connection,
            joined: false,
        }
    }

    /// Whether the connection was begun for another session.
    pub(super) fn joined(&self) -> bool {
        self.joined
    }

    /// Waits until the connection is open. Cancel safe.
    pub(super) async fn open(&self, under_way: &UnderWay) -> Result<Arc<Http3>, Refused> {
        let mut phase = self.connection.phase.subscribe();
        let open = phase.wait_for(|phase| match phase {
            Phase::Connecting(what) => {
                under_way.is(*what);
                false
            }
            Phase::Open(_) | Phase::Failed(_) | Phase::Ended | Phase::Defect => true,
        });
        match &*open.await.expect("the lease holds the sender") {
            Phase::Connecting(_) => unreachable!("waited for"),
            Phase::Open(http3) => Ok(http3.clone()),
            Phase::Failed(cause) => Err(Refused::Everywhere(cause.clone())),
            Phase::Ended => Err(Refused::Here(Cause::new(
                cause::Phase::Connect,
                "ERR_CLOSED",
                "the connection has ended",
            ))),
            Phase::Defect => Err(Refused::Here(Cause::new(
                cause::Phase::Connect,
                "ERR_INTERNAL",
                "an internal error ended the connection",
            ))),
        }
    }

    /// Waits for a panic of the connection's task. Cancel safe.
    pub(super) async fn defect(&self) {
        let mut phase = self.connection.phase.subscribe();
        let defect = phase.wait_for(|phase| matches!(phase, Phase::Defect)).await;
        drop(defect.expect("the lease holds the sender"));
    }

    /// Leaves the connection. The last session waits until the peer has been told, so that the process may end.
    pub(super) async fn end(self) {
        let connection = self.connection.clone();
        drop(self);
        if *connection.leases.borrow() == 0 {
            let mut phase = connection.phase.subscribe();
            let over = phase.wait_for(|phase| !matches!(phase, Phase::Connecting(_) | Phase::Open(_)));
            drop(over.await.expect("this holds the sender"));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.leases.send_modify(|leases| *leases -= 1);
    }
}

impl Connection {
    /// Begins to connect, for a first session.
    fn begin(address: &Arc<Address>, shares: Shares, environment: &Arc<Environment>) -> Arc<Self> {
        let connection = Arc::new(Self {
            phase: watch::Sender::new(Phase::Connecting(cause::Phase::Dns)),
            leases: watch::Sender::new(1),
        });
        let guard = Guard(connection.clone());
        let (connection_, address) = (connection.clone(), address.clone());
        environment.spawn((), async move {
            let _guard = guard;
            connection_.run(&address, shares).await;
        });
        connection
    }

    /// One more session, unless the last has gone.
    fn lease(&self) -> bool {
        self.leases.send_if_modified(|leases| {
            let alive = *leases > 0;
            *leases += usize::from(alive);
            alive
        })
    }

    fn is_connecting(&self) -> bool {
        matches!(&*self.phase.borrow(), Phase::Connecting(_))
    }

    fn has_room(&self) -> bool {
        match &*self.phase.borrow() {
            Phase::Open(http3) => {
                !http3.is_full() && http3.goaway().from.is_none() && http3.quic.close_reason().is_none()
            }
            Phase::Connecting(_) | Phase::Failed(_) | Phase::Ended | Phase::Defect => false,
        }
    }

    fn is_alone(&self) -> bool {
        match &*self.phase.borrow() {
            Phase::Open(http3) => http3.max_sessions() == 1,
            Phase::Connecting(_) | Phase::Failed(_) | Phase::Ended | Phase::Defect => false,
        }
    }

    /// Waits until no session is left. Cancel safe.
    async fn left(&self) {
        let mut leases = self.leases.subscribe();
        let left = leases.wait_for(|leases| *leases == 0).await;
        drop(left.expect("this holds the sender"));
    }

    /// The connection's life.
    async fn run(&self, address: &Address, shares: Shares) {
        let dialed = tokio::select! {
            dialed = self.dial(address) => dialed,
            () = self.left() => return,
        };
        match dialed {
            Ok((quic, _endpoint)) => self.serve(quic, shares).await,
            Err(cause) => drop(self.phase.send_replace(Phase::Failed(cause))),
        }
    }

    async fn dial(&self, address: &Address) -> Result<(Quic, Arc<quinn::Endpoint>), Cause> {
        let addresses = dial::resolve(address).await?;
        self.phase.send_replace(Phase::Connecting(cause::Phase::Connect));
        dial::dial(address, addresses).await
    }

    async fn serve(&self, quic: Quic, shares: Shares) {
        let (http3, _no_requests) = Http3::new(quic.clone(), Role::Client, shares);
        let mut serving = std::pin::pin!(http3.clone().serve());
        self.phase.send_replace(Phase::Connecting(cause::Phase::Settings));
        // CONNECT is never sent to a server that has not said that it understands it.
        let settings = tokio::select! {
            biased;
            settings = http3.peer_settings() => settings,
            end = &mut serving => {
                self.phase.send_replace(Phase::Failed(ended(&end)));
                return;
            }
            () = self.left() => None,
        };
        match settings {
            Some(settings) if settings.server_supports_webtransport() => {
                self.phase.send_replace(Phase::Open(http3.clone()));
                tokio::select! {
                    end = &mut serving => match end {
                        // It is gone. Its sessions are to hear why, which closing it here would hide.
                        End::Lost(_) => return,
                        End::Violation(_) => {}
                    },
                    () = self.left() => {}
                }
            }
            Some(_) => {
                let message = "the server does not support WebTransport";
                let cause = Cause::new(cause::Phase::Settings, "ERR_NO_WEBTRANSPORT", message);
                quic.close(varint(ErrorCode::H3_NO_ERROR), b"");
                self.phase.send_replace(Phase::Failed(cause));
            }
            None => {
                // The connection has been closed before its SETTINGS came; `serve` knows why. Or nobody waits any more.
                if let Some(error) = quic.close_reason() {
                    let cause = Cause::lost(cause::Phase::Settings, &error);
                    self.phase.send_replace(Phase::Failed(cause));
                }
            }
        }
        task::shut_down(&quic).await;
    }
}

fn ended(end: &End) -> Cause {
    match end {
        End::Violation(violation) => Cause::violation(cause::Phase::Settings, violation),
        End::Lost(error) => Cause::lost(cause::Phase::Settings, error),
    }
}

/// Says how a connection's task has ended.
struct Guard(Arc<Connection>);

impl Drop for Guard {
    fn drop(&mut self) {
        let defect = std::thread::panicking();
        self.0.phase.send_if_modified(|phase| {
            match phase {
                Phase::Failed(_) | Phase::Ended | Phase::Defect => return false,
                Phase::Connecting(_) | Phase::Open(_) => {}
            }
            *phase = if defect { Phase::Defect } else { Phase::Ended };
            true
        });
    }
}

#[cfg(test)]
mod tests;
