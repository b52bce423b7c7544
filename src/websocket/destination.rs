//! What a script asks for → what the connection is made with.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::connection::{WebSocketDeflate, WebSocketDestination, WebSocketLimits, WebSocketProxy};
use super::deflate::Deflate;
use super::dial::{Audience, Destination, Route, Tls, TurnTaking};
use super::extensions::Parameters;
use super::handshake::ClientRequest;
use super::proxy::{Protocol, Proxy};
use super::task::{KeepAlive, Limits};
use super::tcp::Resolver;
use crate::error::{Error, ErrorName, Result};
use crate::tls::{TlsOptions, client_config};

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

/// Where to connect to, as far as it can be told wrong from right before.
pub(crate) fn checked(destination: WebSocketDestination, resolver: Resolver) -> Result<Destination> {
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
        audience: if destination.hears_answer == Some(true) {
            Audience::Script
        } else {
            Audience::Nobody
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

/// Names and values in turn → header lines.
pub(crate) fn headers(flat: Vec<String>) -> Vec<(String, String)> {
    let mut flat = flat.into_iter();
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        headers.push((name, value));
    }
    headers
}
