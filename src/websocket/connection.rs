//! `WebSocketConnection`: the network half of one `WebSocket`, client's or server's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Control;

use super::cause::Cause;
use super::closing::ABNORMAL;
use super::deflate::Deflate;
use super::destination::checked;
use super::dial::{Destination, NotOpened, Opened, establish_connection};
use super::frame::Role;
use super::message::Kind;
use super::outgoing::Added;
use super::task::{Driver, Limits, Link, emit_failed};
use super::tcp::Resolver;
use super::transport::Transport;
use crate::error::Result;
use crate::hub::{Hub, Payload, Port, Terminal};
use crate::tls::TlsOptions;

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
    /// With `hears_answer`: what came of the server's answer to the opening handshake. `a` is its status, or 0 when this
    /// goes on with the one before. 101 comes before `Open`, without what follows it; any other comes as far as the peer
    /// sends it, until the script gives the connection up.
    Answer,
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
    /// `true`: the script hears the server's answer as it came.
    pub hears_answer: Option<bool>,
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

    /// Sends one binary message that is not compressed.
    #[napi(catch_unwind)]
    pub fn send_binary_uncompressed(&self, data: BufferSlice<'_>) -> bool {
        self.link.outgoing.send_uncompressed(Kind::Binary, &data) == Added::Written
    }

    /// Sends one text message, given as UTF-8, that is not compressed.
    #[napi(catch_unwind)]
    pub fn send_text_uncompressed(&self, data: BufferSlice<'_>) -> bool {
        self.link.outgoing.send_uncompressed(Kind::Text, &data) == Added::Written
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
        () = link.aborted() => Err(Cause::aborted().into()),
    };
    match opened {
        Ok(Opened {
            transport,
            head,
            rest,
            established,
            wake,
        }) => {
            if !head.is_empty() {
                port.emit(WebSocketEvent::Answer, 101, 0, Payload::Bytes(head.into()));
            }
            let deflate = wanted
                .zip(established.deflate)
                .map(|(wanted, parameters)| Deflate { parameters, ..wanted });
            Driver::new(transport, rest, Role::Client, deflate, limits, link, port)
                .open(&established.protocol, &established.extensions, wake)
                .await;
        }
        Err(NotOpened { cause, answer }) => {
            if let Some((transport, answer)) = answer {
                pass_on_answer(transport, answer, cause.number, &link, &port).await;
            }
            emit_failed(&port, &cause);
        }
    }
}

/// Lets the script hear an answer that opens no connection, until that ends or the script has enough.
async fn pass_on_answer(mut transport: Transport, mut answer: Vec<u8>, status: u16, link: &Link, port: &Arc<Port>) {
    let mut number = u32::from(status);
    loop {
        port.emit(
            WebSocketEvent::Answer,
            number,
            0,
            Payload::Bytes(std::mem::take(&mut answer).into()),
        );
        number = 0;
        let more = async {
            port.room().await;
            link.resumed().await;
            transport.read_some(&mut answer).await
        };
        let read = tokio::select! {
            read = more => read,
            () = link.aborted() => return,
        };
        // An error ends it as the end does: the script sees that it is not whole.
        if !read.is_ok_and(|length| length > 0) {
            return;
        }
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
