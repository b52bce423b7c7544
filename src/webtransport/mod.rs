//! WebTransport over HTTP/3, client and server, on quinn: <https://www.w3.org/TR/webtransport/>.

pub(crate) mod http3;
