//! `WebSocketConnection`: the network half of one `WebSocket`, client's or server's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use rustls::pki_types::ServerName;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Control;

use super::cause::Cause;
use super::closing::ABNORMAL;
use super::deflate::Deflate;
use super::dial::{Destination, Opened, Route, Tls, TurnTaking, establish_connection};
use super::extensions::Parameters;
use super::frame::Role;
use super::handshake::ClientRequest;
use super::message::Kind;
use super::outgoing::Added;
use super::proxy::{Protocol, Proxy};
use super::task::{Driver, KeepAlive, Limits, Link, emit_failed};
use super::tcp::Resolver;
use crate::error::{Error, ErrorName, Result};
use crate::hub::{Hub, Payload, Port, Terminal};
use crate::tls::{TlsOptions, client_config};

/// What a connection tells its `WebSocket`.
#[napi]
pub enum WebSocketEvent {
    /// The opening handshake is done; the payload is the subprotocol, NUL and the extensions in use.
    Open,
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// `a` + 2³² `b` bytes of messages have gone to the network.
    Drained,
    /// A ping came and is answered.
    Ping,
    /// A pong came.
    Pong,
    /// The peer has begun the closing handshake.
    Closing,
    /// The end: `a` is the code, bit 0 of `b` says that it was clean, bit 1 that it failed; the payload is the reason.
    Closed,
    /// For the operator, before `Closed`: why the connection failed. `a` is the status of an HTTP answer or the code of our
    /// Close frame, or 0; the payload is the phase, a code, the system call, the address, the port and a text, NULs between.
    Failed,
}

impl From<WebSocketEvent> for i32 {
    fn from(event: WebSocketEvent) -> Self {
        event as Self
    }
}

/// What a panic of the task looks like to the script: a failed connection.
pub(crate) const PANICKED: Terminal = Terminal {
    event: WebSocketEvent::Closed as i32,
    a: ABNORMAL as u32,
    b: 2,
};

/// Where a client connects to and how. All values are checked and converted by `web/websocket/`.
#[napi(object)]
pub struct WebSocketDestination {
    /// Name or address, an IPv6 one without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// True: the script resolves the name, and says what it found with `resolve`.
    pub looks_up: bool,
    /// A socket of the file system, which is the server's instead of `host` and `port`.
    pub socket_path: Option<String>,
    /// The proxy to go through.
    pub proxy: Option<WebSocketProxy>,
    /// The address of this machine to connect from.
    pub local_address: Option<String>,
    /// Value of the `Host` header.
    pub authority: String,
    /// Path and query.
    pub target: String,
    /// Subprotocols.
    pub protocols: Vec<String>,
    /// Name and value in turn.
    pub headers: Vec<String>,
    /// Present for wss.
    pub tls: Option<TlsOptions>,
    /// Milliseconds for names, TCP, TLS and the opening handshake together.
    pub handshake_timeout_ms: u32,
    /// Present if permessage-deflate is offered.
    pub deflate: Option<WebSocketDeflate>,
    /// Whether to wait until no other connection to the same address is being made.
    pub serialize_handshakes: bool,
    /// See [`WebSocketLimits`].
    pub limits: WebSocketLimits,
}

/// A proxy between the client and its server.
#[napi(object)]
pub struct WebSocketProxy {
    /// Name or address, an IPv6 one without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// True for SOCKS5, false for HTTP CONNECT.
    pub socks: bool,
    /// For CONNECT: the value of `Proxy-Authorization`.
    pub authorization: Option<String>,
    /// For SOCKS5, with `password`; 1 to 255 bytes.
    pub user: Option<String>,
    /// For SOCKS5, with `user`; 1 to 255 bytes.
    pub password: Option<String>,
    /// Present if the proxy is spoken to over TLS.
    pub tls: Option<TlsOptions>,
}

/// What is wanted of permessage-deflate.
#[napi(object)]
#[derive(Clone)]
pub struct WebSocketDeflate {
    /// The server is to forget each message.
    pub server_no_context_takeover: bool,
    /// The client is to forget each message.
    pub client_no_context_takeover: bool,
    /// 8 to 15.
    pub server_max_window_bits: u8,
    /// 8 to 15.
    pub client_max_window_bits: u8,
    /// Shorter messages are not compressed.
    pub threshold: u32,
    /// Of zlib, 0 to 9.
    pub level: u8,
}

impl From<&WebSocketDeflate> for Deflate {
    fn from(wanted: &WebSocketDeflate) -> Self {
        Self {
            parameters: Parameters {
                server_no_context_takeover: wanted.server_no_context_takeover,
                client_no_context_takeover: wanted.client_no_context_takeover,
                server_max_window_bits: wanted.server_max_window_bits,
                client_max_window_bits: wanted.client_max_window_bits,
            },
            threshold: wanted.threshold as usize,
            level: wanted.level,
        }
    }
}

/// Limits of an open connection.
#[napi(object)]
#[derive(Clone)]
pub struct WebSocketLimits {
    /// Bytes of one message from the peer, fragments together.
    pub max_message_size: u32,
    /// Milliseconds that the closing handshake may stand still.
    pub close_timeout_ms: u32,
    /// `false`: pings are answered by the script.
    pub auto_pong: Option<bool>,
    /// `true`: the script hears the peer's messages until its Close frame, also behind its own.
    pub hears_until_close: Option<bool>,
    /// Bytes of messages that may wait for the peer when another one is sent. No limit when absent.
    pub max_queued_bytes: Option<u32>,
    /// Milliseconds between two pings that look whether the peer is there. None when absent.
    pub keep_alive_interval_ms: Option<u32>,
    /// Milliseconds that the peer has to answer one of them.
    pub keep_alive_timeout_ms: Option<u32>,
}

impl From<&WebSocketLimits> for Limits {
    fn from(limits: &WebSocketLimits) -> Self {
        Self {
            max_message_size: limits.max_message_size as usize,
            close_timeout: Duration::from_millis(limits.close_timeout_ms.into()),
            auto_pong: limits.auto_pong.unwrap_or(true),
            hears_until_close: limits.hears_until_close.unwrap_or(false),
            max_queued: limits.max_queued_bytes.map_or(usize::MAX, |bytes| bytes as usize),
            keep_alive: limits
                .keep_alive_interval_ms
                .zip(limits.keep_alive_timeout_ms)
                .map(|(interval, timeout)| KeepAlive {
                    interval: Duration::from_millis(interval.into()),
                    timeout: Duration::from_millis(timeout.into()),
                }),
        }
    }
}

/// One connection. Dropped by a garbage collection, it says "going away" to its peer and ends.
#[napi]
pub struct WebSocketConnection {
    link: Arc<Link>,
    /// Where the script's own resolver is awaited.
    found: Option<oneshot::Sender<Found>>,
}

/// What a script's resolver found.
type Found = std::result::Result<Vec<IpAddr>, Cause>;

/// In the head of a message in a batch: it is text.
const TEXT: u32 = 1 << 31;

#[napi]
impl WebSocketConnection {
    /// Begins to connect.
    #[napi(constructor, catch_unwind)]
    pub fn new(hub: &Hub, id: u32, destination: WebSocketDestination) -> Result<Self> {
        let link = Link::new(Role::Client);
        let port = hub.port(id);
        let limits = Limits::from(&destination.limits);
        let time = Duration::from_millis(destination.handshake_timeout_ms.into());
        let deflate = destination.deflate.as_ref().map(Deflate::from);
        let (found, resolver) = if destination.looks_up {
            let (found, awaited) = oneshot::channel();
            (Some(found), Resolver::Script(awaited))
        } else {
            (None, Resolver::System)
        };
        let destination = checked(destination, resolver)?;
        let task = connect(destination, time, deflate, limits, link.clone(), port.clone());
        port.spawn(PANICKED, task);
        Ok(Self { link, found })
    }

    /// The addresses that the script's resolver found for the host; without any, why.
    #[napi(catch_unwind)]
    pub fn resolve(&mut self, addresses: Vec<String>, failure: String) {
        let addresses: Vec<IpAddr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        let found = if addresses.is_empty() {
            Err(Cause::lookup(failure))
        } else {
            Ok(addresses)
        };
        if let Some(waiting) = self.found.take() {
            // The time may be up, or the script have given up.
            let _gone = waiting.send(found);
        }
    }

    /// Sends the messages in the first `length` bytes of `batch`: each a little-endian 32-bit word, its length with the
    /// highest bit set for text, then its bytes. True if the network has taken all of them at once.
    #[napi(catch_unwind)]
    pub fn send(&self, batch: BufferSlice<'_>, length: u32) -> bool {
        let batch = batch.get(..length as usize).unwrap_or(&batch);
        self.link.outgoing.send(Messages(batch), batch.len()) == Added::Written
    }

    /// Sends one binary message.
    #[napi(catch_unwind)]
    pub fn send_binary(&self, data: BufferSlice<'_>) -> bool {
        self.link
            .outgoing
            .send([(Kind::Binary, &*data)].into_iter(), data.len())
            == Added::Written
    }

    /// Sends one text message, given as UTF-8.
    #[napi(catch_unwind)]
    pub fn send_text(&self, data: BufferSlice<'_>) -> bool {
        self.link.outgoing.send([(Kind::Text, &*data)].into_iter(), data.len()) == Added::Written
    }

    /// Sends a ping of at most 125 bytes.
    #[napi(catch_unwind)]
    pub fn ping(&self, data: BufferSlice<'_>) {
        self.link.outgoing.control(Control::Ping, &data);
    }

    /// Leaves what the peer sends in the socket, so that its window closes, until `resume`. What was read before still
    /// comes; `close` ends a pause.
    #[napi(catch_unwind)]
    pub fn pause(&self) {
        self.link.outgoing.pause();
    }

    /// Ends a pause.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        self.link.outgoing.resume();
    }

    /// Sends a pong of at most 125 bytes that answers no ping, or one that was left to the script.
    #[napi(catch_unwind)]
    pub fn pong(&self, data: BufferSlice<'_>) {
        self.link.outgoing.control(Control::Pong, &data);
    }

    /// Starts the closing handshake, behind all that was sent.
    #[napi(catch_unwind)]
    pub fn close(&self, code: Option<u16>, reason: String) {
        self.link.outgoing.close(code, &reason);
    }

    /// Says that the script has heard `Closing` or `Closed`, and so all that came before: the peer gets its answer.
    #[napi(catch_unwind)]
    pub fn acknowledge(&self) {
        self.link.outgoing.acknowledge();
    }

    /// Ends the connection, or the attempt to make it, at once.
    #[napi(catch_unwind)]
    pub fn abort(&self) {
        self.link.outgoing.abort();
    }
}

impl WebSocketConnection {
    /// The door of a connection that a server has accepted.
    pub(crate) fn accepted(link: Arc<Link>) -> Self {
        Self { link, found: None }
    }
}

impl Drop for WebSocketConnection {
    fn drop(&mut self) {
        self.link.outgoing.abandon();
    }
}

/// The messages of a batch.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Kind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk()?;
        let head = u32::from_le_bytes(*head);
        let (data, rest) = rest.split_at_checked((head & !TEXT) as usize)?;
        self.0 = rest;
        Some((if head & TEXT == 0 { Kind::Binary } else { Kind::Text }, data))
    }
}

fn checked(destination: WebSocketDestination, resolver: Resolver) -> Result<Destination> {
    let tls = match &destination.tls {
        Some(options) => Some(checked_tls(options, &destination.host)?),
        None => None,
    };
    let route = match (destination.socket_path, destination.proxy) {
        (Some(path), _) => Route::Socket(path.into()),
        (None, Some(proxy)) => Route::Proxy(checked_proxy(proxy)?),
        (None, None) => Route::Direct,
    };
    let local_address = match &destination.local_address {
        Some(address) => {
            let address = address.parse();
            Some(address.map_err(|_| Error::new(ErrorName::TypeError, "localAddress is not an IP address"))?)
        }
        None => None,
    };
    let deflate = destination
        .deflate
        .as_ref()
        .map(|wanted| Deflate::from(wanted).parameters);
    let request = ClientRequest {
        target: destination.target,
        host: destination.authority,
        key: generate_key(),
        protocols: destination.protocols,
        deflate,
        headers: headers(destination.headers),
    };
    Ok(Destination {
        host: destination.host,
        port: destination.port,
        route,
        resolver,
        local_address,
        tls,
        request,
        turn: if destination.serialize_handshakes {
            TurnTaking::OneByOne
        } else {
            TurnTaking::AtOnce
        },
    })
}

fn checked_tls(options: &TlsOptions, host: &str) -> Result<Tls> {
    let name = match &options.servername {
        Some(name) => Some(
            ServerName::try_from(name.clone())
                .map_err(|_| Error::new(ErrorName::TypeError, "servername is neither a DNS name nor an address"))?,
        ),
        // A host that no certificate can name fails like one that no resolver knows.
        None => ServerName::try_from(host.to_owned()).ok(),
    };
    Ok((client_config(options, &[b"http/1.1"])?, name))
}

fn checked_proxy(proxy: WebSocketProxy) -> Result<Proxy> {
    let tls = match &proxy.tls {
        Some(options) => Some(checked_tls(options, &proxy.host)?),
        None => None,
    };
    let protocol = if proxy.socks {
        Protocol::Socks5 {
            credentials: proxy.user.zip(proxy.password),
        }
    } else {
        Protocol::Connect {
            authorization: proxy.authorization,
        }
    };
    Ok(Proxy {
        protocol,
        host: proxy.host,
        port: proxy.port,
        tls,
    })
}

/// Tells the script that the opening handshake is done, and what was agreed.
pub(crate) fn emit_open(port: &Arc<Port>, protocol: &str, extensions: &str) {
    let agreed = [protocol, extensions].join("\0");
    port.emit(WebSocketEvent::Open, 0, 0, Payload::Text(&agreed));
}

/// Names and values in turn → header lines.
pub(crate) fn headers(flat: Vec<String>) -> Vec<(String, String)> {
    let mut flat = flat.into_iter();
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        headers.push((name, value));
    }
    headers
}

async fn connect(
    destination: Destination,
    time: Duration,
    wanted: Option<Deflate>,
    limits: Limits,
    link: Arc<Link>,
    port: Arc<Port>,
) {
    // In a box of its own, so that an open connection does not keep the room that the way to it needed.
    let establishing = Box::pin(establish_connection(destination, time));
    let opened = tokio::select! {
        opened = establishing => opened,
        () = link.aborted() => Err(Cause::aborted()),
    };
    match opened {
        Ok(Opened {
            transport,
            rest,
            established,
        }) => {
            emit_open(&port, &established.protocol, &established.extensions);
            let deflate = wanted
                .zip(established.deflate)
                .map(|(wanted, parameters)| Deflate { parameters, ..wanted });
            Driver::new(transport, rest, Role::Client, deflate, limits, link, port)
                .run()
                .await;
        }
        Err(cause) => emit_failed(&port, &cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_message_by_message() {
        let mut batch = Vec::new();
        for (head, data) in [(TEXT | 2, &b"hi"[..]), (0, b""), (3, &[1, 2, 3])] {
            batch.extend_from_slice(&head.to_le_bytes());
            batch.extend_from_slice(data);
        }
        let messages: Vec<_> = Messages(&batch).collect();
        assert_eq!(
            messages,
            [
                (Kind::Text, &b"hi"[..]),
                (Kind::Binary, b""),
                (Kind::Binary, &[1, 2, 3])
            ]
        );
        assert_eq!(Messages(&batch[..7]).count(), 1);
    }
}
