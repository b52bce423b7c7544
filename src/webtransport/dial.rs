//! A client's QUIC connection: the addresses of a name, tried one after the other.
//! <https://www.rfc-editor.org/rfc/rfc8305#section-5>

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, Connection, Endpoint};
use tokio::task::JoinSet;

use super::cause::{Cause, Phase};
use super::{crowd, endpoint};

/// When an address has not answered for so long the next is tried as well: RFC 8305, section 5.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Between addresses of this machine there is nothing to wait for.
const LOCAL_ATTEMPT_DELAY: Duration = Duration::from_millis(10);
/// Addresses of a name that are tried at most.
const MAX_ADDRESSES: usize = 8;

/// Where to, and how.
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    /// The address of this machine to connect from.
    pub(super) local_address: Option<IpAddr>,
    /// What the certificate has to name.
    pub(super) server_name: String,
    pub(super) config: ClientConfig,
}

/// The addresses of the host that are to be tried: only those of the local address's family, where that is named.
pub(super) async fn resolve(target: &Address) -> Result<Vec<SocketAddr>, Cause> {
    let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    let addresses = addresses.map_err(|error| Cause::unknown_host(&error))?;
    let Some(local) = target.local_address else {
        return Ok(addresses.take(MAX_ADDRESSES).collect());
    };
    let same = addresses.filter(|address| address.is_ipv4() == local.is_ipv4());
    let same: Vec<_> = same.take(MAX_ADDRESSES).collect();
    if same.is_empty() {
        return Err(Cause::other_family());
    }
    Ok(same)
}

/// A QUIC connection to the first of these addresses that answers, and the endpoint that carries it.
pub(super) async fn dial(target: &Address, addresses: Vec<SocketAddr>) -> Result<(Connection, Arc<Endpoint>), Cause> {
    let mut attempts = JoinSet::new();
    let mut wait = Duration::ZERO;
    for address in addresses {
        attempts.spawn(attempt(
            target.config.clone(),
            target.server_name.clone(),
            (target.local_address, address),
            wait,
        ));
        wait += if address.ip().is_loopback() {
            LOCAL_ATTEMPT_DELAY
        } else {
            ATTEMPT_DELAY
        };
    }
    let mut cause = Cause::new(Phase::Dns, "ENOTFOUND", "the server's name has no address");
    while let Some(done) = attempts.join_next().await {
        match done {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => cause = error,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => {}
        }
    }
    Err(cause)
}

async fn attempt(
    config: ClientConfig,
    server_name: String,
    (local, address): (Option<IpAddr>, SocketAddr),
    wait: Duration,
) -> Result<(Connection, Arc<Endpoint>), Cause> {
    // A sleep of nothing still lasts until the timer's next millisecond.
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let _place = crowd::enter(address).await;
    let endpoint = endpoint::for_clients(address, local).map_err(|error| Cause::system(&error))?;
    let connecting = endpoint.connect_with(config, address, &server_name);
    let connecting = connecting.map_err(|error| Cause::new(Phase::Connect, "ERR_QUIC", error.to_string()))?;
    let connection = connecting.await.map_err(|error| Cause::lost(Phase::Connect, &error))?;
    Ok((connection, endpoint))
}
