//! Clients of raw quinn that a server does not let in, and what its operator is told of them.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Endpoint, RecvStream, SendStream};

use super::*;
use crate::hub::testing::{Ear, Heard};
use crate::runtime::runtime;
use crate::tls;
use crate::webtransport::certificate_hash;
use crate::webtransport::established::Session;
use crate::webtransport::http3::settings::Settings;
use crate::webtransport::http3::{Field, frame, qpack, stream_header};

/// A request for a session.
const SESSION: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/"),
    (":protocol", "webtransport"),
];
/// A plain request.
const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "localhost"),
    (":path", "/"),
];
/// The beginning of a request, up to the length of its headers.
const BEGUN: [u8; 3] = [1, 0x44, 0];

/// No limit is reached unless a test wants that.
fn options(certificate: NamedCertificate) -> ListenOptions {
    ListenOptions {
        host: None,
        port: 0,
        certificates: vec![certificate],
        client_certificates: None,
        limits: ListenLimits {
            max_connections: 100,
            max_sessions_per_connection: 1,
            max_streams_per_connection: 100,
            max_pending_handshakes: 100,
            max_unproven_handshakes: 100,
            max_pending_requests: 100,
            max_unread_bytes_per_stream: 1_000_000,
            max_unread_bytes_per_connection: 10_000_000,
            max_queued_bytes_per_connection: 1_000_000,
            handshake_timeout_ms: 600_000,
            request_timeout_ms: 600_000,
            response_timeout_ms: 600_000,
            idle_timeout_ms: 600_000,
            keep_alive_interval_ms: None,
        },
        serves_plain_requests: false,
    }
}

struct Server {
    ear: Ear,
    shared: Arc<Shared>,
    address: SocketAddr,
    hash: [u8; 32],
    refused: VecDeque<String>,
}

impl Server {
    async fn start(change: impl FnOnce(&mut ListenOptions)) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("sound");
        params.not_before = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
        params.not_after = params.not_before + time::Duration::DAY;
        let certificate = params.self_signed(&key).expect("signs");
        let mut options = options(NamedCertificate {
            name: None,
            cert: certificate.pem(),
            key: key.serialize_pem(),
        });
        change(&mut options);
        let mut ear = Ear::new();
        let (shared, config) = Shared::new(ear.port(1), &options).expect("sound");
        tokio::spawn(run(shared.clone(), config, Ipv4Addr::LOCALHOST.to_string(), 0));
        let listening = ear.next().await;
        assert_eq!(listening.event, i32::from(WebTransportEvent::Listening));
        let port = u16::try_from(listening.a).expect("a port");
        Self {
            ear,
            shared,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            hash: <sha2::Sha256 as sha2::Digest>::digest(certificate.der()).into(),
            refused: VecDeque::new(),
        }
    }

    /// Who is refused next: status, phase and code. It is the client at this endpoint.
    async fn refused(&mut self, client: &Endpoint) -> (u16, String, String) {
        while self.refused.is_empty() {
            self.heard(WebTransportEvent::Refused).await;
            self.refused.extend(self.shared.refusals.take().texts());
        }
        let text = self.refused.pop_front().expect("waited for");
        let [status, phase, code, address, port, message] =
            text.split('\0').collect::<Vec<_>>().try_into().expect("so many fields");
        assert_eq!(address, Ipv4Addr::LOCALHOST.to_string());
        assert_eq!(port, client.local_addr().expect("bound").port().to_string());
        assert_ne!(message, "");
        (status.parse().expect("a number"), phase.to_owned(), code.to_owned())
    }

    /// The next event of this kind.
    async fn heard(&mut self, event: WebTransportEvent) -> Heard {
        loop {
            let heard = self.ear.next().await;
            if heard.event == i32::from(event) {
                return heard;
            }
        }
    }

    fn dial(&self, alpn: &[u8]) -> (Endpoint, Connecting) {
        let mut config = rustls::ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(certificate_hash::verifier(vec![self.hash]))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).expect("TLS 1.3")));
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("binds");
        let connecting = endpoint
            .connect_with(config, self.address, "localhost")
            .expect("a name");
        (endpoint, connecting)
    }

    /// A client that has sent nothing yet.
    async fn connect(&self) -> Client {
        let (endpoint, connecting) = self.dial(b"h3");
        Client {
            endpoint,
            connection: connecting.await.expect("connects"),
        }
    }

    /// What JavaScript does to accept the next request.
    async fn accept(&mut self) -> (Arc<Session>, Waiting) {
        let key = self.heard(WebTransportEvent::Request).await.a;
        let waiting = self.shared.requests().waiting.remove(&key).expect("waits");
        let session = waiting.http3.session(waiting.id, self.ear.port(2));
        waiting.http3.enter(&session).expect("the first");
        (session, waiting)
    }
}

struct Client {
    endpoint: Endpoint,
    connection: Connection,
}

impl Client {
    async fn settings(&self) -> SendStream {
        let mut control = self.connection.open_uni().await.expect("opens");
        let settings = [stream_header::OUR_CONTROL, &frame::settings(&Settings::ours(1, None))];
        control.write_all(&settings.concat()).await.expect("takes");
        control
    }

    async fn ask(&self, fields: &[(&str, &str)]) -> (SendStream, RecvStream) {
        let fields: Vec<Field> = fields.iter().map(|(name, value)| Field::new(*name, *value)).collect();
        self.send(&frame::headers(&qpack::encode(&fields))).await
    }

    async fn send(&self, bytes: &[u8]) -> (SendStream, RecvStream) {
        let mut stream = self.connection.open_bi().await.expect("opens");
        stream.0.write_all(bytes).await.expect("takes");
        stream
    }
}

fn told(status: u16, phase: &str, code: &str) -> (u16, String, String) {
    (status, phase.to_owned(), code.to_owned())
}

#[test]
fn requests_that_no_application_hears_of() {
    runtime().block_on(async {
        let mut server = Server::start(|_| {}).await;
        let client = server.connect().await;
        let long = "x".repeat(70_000);
        let mut open = Vec::new();
        for (fields, status, code) in [
            (&GET[..], 404, "ERR_NOT_SERVED"),
            (
                &[(":method", "CONNECT"), (":authority", "a:1")],
                501,
                "ERR_HANDSHAKE_REQUEST",
            ),
            (
                &[GET[0], (":scheme", "http"), GET[2], GET[3]],
                421,
                "ERR_HANDSHAKE_REQUEST",
            ),
            (
                &[GET[0], GET[1], GET[2], (":path", "relative")],
                400,
                "ERR_HANDSHAKE_REQUEST",
            ),
            (
                &[GET[0], GET[1], GET[2], GET[3], ("x", long.as_str())],
                431,
                "ERR_HANDSHAKE_REQUEST",
            ),
            (&[GET[0], GET[1], GET[2]], 0, "ERR_HTTP3_PROTOCOL"),
        ] {
            open.push(client.ask(fields).await);
            let refused = server.refused(&client.endpoint).await;
            assert_eq!(refused, told(status, "handshake", code), "{code} {status}");
        }
        let (mut grease, _answer) = client.send(&[0x21, 0]).await;
        grease.finish().expect("open");
        assert_eq!(server.refused(&client.endpoint).await, told(0, "handshake", "EOF"));
        // What follows on another stream is refused only when this one is known for a request.
        let (mut begun, _answer) = client.send(&BEGUN).await;
        let _get = client.ask(&GET).await;
        assert_eq!(server.refused(&client.endpoint).await.0, 404);
        begun.reset(0_u32.into()).expect("open");
        assert_eq!(
            server.refused(&client.endpoint).await,
            told(0, "handshake", "ECONNRESET")
        );
        let _data = client.send(&frame::data(b"x")).await;
        let refused = server.refused(&client.endpoint).await;
        assert_eq!(refused, told(0, "handshake", "ERR_HTTP3_PROTOCOL"));
    });
}

#[test]
fn more_requests_than_may_wait_and_more_sessions_than_may_be() {
    runtime().block_on(async {
        let too_many = told(503, "handshake", "ERR_TOO_MANY_REQUESTS");
        let mut none = Server::start(|options| {
            options.limits.max_pending_requests = 0;
            options.serves_plain_requests = true;
        })
        .await;
        let client = none.connect().await;
        let _settings = client.settings().await;
        for fields in [&SESSION[..], &GET] {
            let _asked = client.ask(fields).await;
            assert_eq!(none.refused(&client.endpoint).await, too_many);
        }
        let mut one = Server::start(|_| {}).await;
        let client = one.connect().await;
        let _settings = client.settings().await;
        let _first = client.ask(&SESSION).await;
        let _session = one.accept().await;
        let _second = client.ask(&SESSION).await;
        let refused = one.refused(&client.endpoint).await;
        assert_eq!(refused, told(0, "handshake", "ERR_TOO_MANY_SESSIONS"));
    });
}

#[test]
fn clients_that_are_too_slow() {
    runtime().block_on(async {
        // Long enough for the handshake on a busy machine.
        let mut server = Server::start(|options| options.limits.handshake_timeout_ms = 3000).await;
        let client = server.connect().await;
        let _without_settings = client.ask(&SESSION).await;
        let _begun = client.send(&BEGUN).await;
        let mut refused = [
            server.refused(&client.endpoint).await,
            server.refused(&client.endpoint).await,
        ];
        refused.sort();
        assert_eq!(
            refused,
            [told(0, "handshake", "ETIMEDOUT"), told(0, "settings", "ETIMEDOUT")]
        );
    });
}

#[test]
fn connections_that_come_to_nothing() {
    runtime().block_on(async {
        let mut server = Server::start(|_| {}).await;
        let (endpoint, connecting) = server.dial(b"h2");
        assert!(connecting.await.is_err());
        assert_eq!(server.refused(&endpoint).await, told(0, "tls", "EPROTO"));
        let silent = server.connect().await;
        // Its handshake is over at both ends.
        let _control = silent.connection.accept_uni().await.expect("serves");
        silent.connection.close(0_u32.into(), b"");
        let gone = told(0, "handshake", "ERR_CLOSED_BY_PEER");
        assert_eq!(server.refused(&silent.endpoint).await, gone);
        let faulty = server.connect().await;
        let mut control = faulty.connection.open_uni().await.expect("opens");
        control.write_all(&[0, 7, 1, 0]).await.expect("takes");
        let refused = server.refused(&faulty.endpoint).await;
        assert_eq!(refused, told(0, "handshake", "ERR_HTTP3_PROTOCOL"));
        // One that asks and goes, before anybody could hear of its request.
        let hasty = server.connect().await;
        let _without_settings = hasty.ask(&SESSION).await;
        let _get = hasty.ask(&GET).await;
        assert_eq!(server.refused(&hasty.endpoint).await.0, 404);
        hasty.connection.close(0_u32.into(), b"");
        assert_eq!(server.refused(&hasty.endpoint).await, gone);
    });
}

#[test]
fn clients_that_come_while_the_server_closes() {
    runtime().block_on(async {
        let mut server = Server::start(|_| {}).await;
        let client = server.connect().await;
        let _settings = client.settings().await;
        let _session = client.ask(&SESSION).await;
        let _open = server.accept().await;
        let _begun = client.send(&BEGUN).await;
        let _get = client.ask(&GET).await;
        assert_eq!(server.refused(&client.endpoint).await.0, 404);
        let close = Close::plain(Closer::Server);
        server
            .shared
            .closing
            .send_replace(Closing::Drain { until: None, close });
        // The one that had begun, and one that comes now.
        let closes = told(0, "handshake", "ERR_SERVER_CLOSED");
        assert_eq!(server.refused(&client.endpoint).await, closes);
        let _late = client.ask(&SESSION).await;
        assert_eq!(server.refused(&client.endpoint).await, closes);
        let (endpoint, connecting) = server.dial(b"h3");
        assert!(connecting.await.is_err());
        let refused = server.refused(&endpoint).await;
        assert_eq!(refused, told(0, "connect", "ERR_SERVER_CLOSED"));
    });
}
