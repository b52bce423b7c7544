//! The client's way to an open connection: names, addresses, TCP, TLS, opening handshake
//! ([RFC 6455 section 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)).

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::cause::{Cause, Phase};
use super::handshake::{ClientRequest, parse_response};
use super::tcp::{self, Resolver};
use super::transport::Transport;

/// Where to, and what to ask for.
pub(crate) struct Destination {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) resolver: Resolver,
    /// Where to connect from.
    pub(crate) local_address: Option<IpAddr>,
    /// For wss: the configuration, and the name to check if the host can have a certificate.
    pub(crate) tls: Option<(Arc<rustls::ClientConfig>, Option<ServerName<'static>>)>,
    pub(crate) request: ClientRequest,
}

/// An open connection.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    /// What came behind the server's answer.
    pub(crate) rest: Vec<u8>,
    /// The subprotocol, or ''.
    pub(crate) protocol: String,
}

/// Establishes a WebSocket connection. Cancel safe: nothing stays.
pub(crate) async fn establish_connection(destination: Destination, deadline: Deadline) -> Result<Opened, Cause> {
    let addresses = tcp::addresses(&destination.host, destination.port, destination.resolver);
    let addresses = deadline.within(Phase::Dns, addresses).await?;
    let stream = tcp::connect(addresses, destination.local_address);
    let stream = deadline.within(Phase::Connect, stream).await?;
    let mut transport = match destination.tls {
        Some((config, name)) => {
            let name = name.ok_or_else(Cause::nameless)?;
            let handshake = async { TlsConnector::from(config).connect(name, stream).await };
            let stream = async { handshake.await.map_err(|error| Cause::tls(&error)) };
            Transport::other(deadline.within(Phase::Tls, stream).await?)
        }
        None => Transport::tcp(stream),
    };
    let shaken = shake_hands(&mut transport, &destination.request);
    let (rest, protocol) = deadline.within(Phase::Handshake, shaken).await?;
    Ok(Opened {
        transport,
        rest,
        protocol,
    })
}

/// Sends the request and reads the answer: what came behind it, and the subprotocol.
async fn shake_hands(transport: &mut Transport, request: &ClientRequest) -> Result<(Vec<u8>, String), Cause> {
    let written = transport.write_all(&request.to_bytes()).await;
    written.map_err(|error| Cause::system(Phase::Handshake, "write", &error))?;
    let mut buffer = Vec::new();
    loop {
        match transport.read_some(&mut buffer).await {
            Ok(0) => return Err(Cause::read(Phase::Handshake, None)),
            Ok(_) => {}
            Err(error) => return Err(Cause::read(Phase::Handshake, Some(&error))),
        }
        if let Some((response, end)) = parse_response(&buffer)? {
            let protocol = request.check(&response)?;
            return Ok((buffer.split_off(end), protocol));
        }
    }
}

/// When all steps together must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// A step, as far as there is time for it.
    async fn within<T>(self, phase: Phase, step: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        match timeout_at(self.0, step).await {
            Ok(done) => done,
            Err(_) => Err(Cause::timed_out(phase)),
        }
    }
}
