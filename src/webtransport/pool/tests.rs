//! Sessions of clients that share a connection, with servers of raw quinn. On the one runtime of the process, to which the
//! clients' endpoint belongs.

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::task::{Context, Waker};

use bytes::Bytes;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{ConnectionError, Endpoint, ReadError, RecvStream, SendStream, VarInt};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::hub::Port;
use crate::hub::testing::{Ear, Heard};
use crate::runtime::runtime;
use crate::webtransport::client::{self, Options, Pooling, Target};
use crate::webtransport::established::{Close, Closer, Session};
use crate::webtransport::http3::capsule::{Capsule, CapsuleDecoder};
use crate::webtransport::http3::connect::{ConnectRequest, ConnectResponse};
use crate::webtransport::http3::flow_control::{Limits, Said};
use crate::webtransport::http3::frame::{self, Carrier, Frame, FrameDecoder};
use crate::webtransport::http3::settings::Settings;
use crate::webtransport::http3::stream_header;
use crate::webtransport::http3::varint as integer;
use crate::webtransport::session::{WebTransportEvent, WebTransportSession};

mod endings;
mod limits;
mod sharing;
mod silence;

const INITIAL: Limits = Limits {
    data: 1000,
    bidirectional: 1,
    unidirectional: 1,
};

/// What a server says that lets so many sessions share a connection.
fn shared(sessions: u64) -> Vec<u8> {
    Settings::ours(sessions, Some(INITIAL))
}

/// A capsule of any kind, in a frame of its own.
fn capsule(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    integer::write(&mut out, kind);
    integer::write(&mut out, payload.len() as u64);
    out.extend_from_slice(payload);
    frame::data(&out)
}

fn listen() -> Endpoint {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("sound");
    let certificate = params.self_signed(&key).expect("signs");
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = rustls::ServerConfig::builder_with_provider(crate::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("belong together");
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = QuicServerConfig::try_from(config).expect("TLS 1.3");
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
    let mut transport = quinn::TransportConfig::default();
    transport.datagram_receive_buffer_size(Some(1024));
    config.transport_config(Arc::new(transport));
    Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("binds")
}

/// The server's end of a connection.
struct Served {
    quic: Quic,
    control: SendStream,
}

impl Served {
    async fn begin(incoming: quinn::Incoming, settings: &[u8]) -> Self {
        let quic = incoming.await.expect("connects");
        let mut control = quic.open_uni().await.expect("opens");
        let bytes = [stream_header::OUR_CONTROL, &frame::settings(settings)].concat();
        control.write_all(&bytes).await.expect("takes");
        Self { quic, control }
    }

    async fn next(server: &Endpoint, settings: &[u8]) -> Self {
        Self::begin(server.accept().await.expect("open"), settings).await
    }

    async fn request(&self) -> Asked {
        let (send, receive) = self.quic.accept_bi().await.expect("comes");
        let mut asked = Asked {
            send,
            receive,
            frames: FrameDecoder::new(Carrier::Request),
            input: Bytes::new(),
            capsules: CapsuleDecoder::default(),
            payload: Bytes::new(),
        };
        assert!(matches!(asked.frame().await, Ok(Some(Frame::Headers(_)))));
        asked
    }

    /// Whether another request is there already.
    fn has_request(&self) -> bool {
        let next = std::pin::pin!(self.quic.accept_bi());
        next.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// The code with which the client closes the connection.
    async fn closed(&self) -> u64 {
        match self.quic.closed().await {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            error => panic!("closed otherwise: {error}"),
        }
    }
}

/// A request as the server sees it, and the session's stream when it grants that.
struct Asked {
    send: SendStream,
    receive: RecvStream,
    frames: FrameDecoder,
    input: Bytes,
    capsules: CapsuleDecoder,
    payload: Bytes,
}

impl Asked {
    async fn frame(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.frames.decode(&mut self.input).expect("sound") {
                return Ok(Some(frame));
            }
            match self.receive.read_chunk(4096, true).await? {
                Some(chunk) => self.input = chunk.bytes,
                None => return Ok(None),
            }
        }
    }

    /// The next capsule; `None` at the end of the stream.
    async fn capsule(&mut self) -> Result<Option<Capsule>, ReadError> {
        loop {
            if let Some(capsule) = self.capsules.decode(&mut self.payload).expect("sound") {
                return Ok(Some(capsule));
            }
            match self.frame().await? {
                Some(Frame::Data(payload)) => self.payload = payload,
                Some(frame) => panic!("{frame:?}"),
                None => return Ok(None),
            }
        }
    }

    async fn grant(&mut self) {
        let response = ConnectResponse {
            status: 200,
            ..ConnectResponse::default()
        };
        self.send(&frame::headers(&response.encode())).await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.expect("takes");
    }

    async fn say(&mut self, said: Said) {
        self.send(&frame::data(&Capsule::from(said).encode())).await;
    }

    /// The code with which the client gives the stream up.
    async fn reset(&mut self) -> u64 {
        loop {
            match self.capsule().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended in good order"),
                Err(ReadError::Reset(code)) => return code.into_inner(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn id(&self) -> u64 {
        VarInt::from(self.receive.id()).into_inner()
    }

    /// The client closes the session in good order.
    async fn closed(&mut self) {
        loop {
            match self.capsule().await {
                Ok(Some(Capsule::CloseSession { .. })) => break,
                Ok(Some(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        self.send.finish().expect("open");
    }
}

/// The client's end.
struct Clients {
    ear: Ear,
    port: u16,
    last: u32,
}

struct Client {
    id: u32,
    session: Arc<OnceLock<Weak<Session>>>,
    abandoned: CancellationToken,
}

impl Client {
    fn session(&self) -> Arc<Session> {
        self.session.get().and_then(Weak::upgrade).expect("it is established")
    }

    fn close(&self) {
        self.session().close_unless_closed(Close::plain(Closer::Script));
    }
}

fn options(port: u16) -> Options {
    Options {
        host: "127.0.0.1".into(),
        port,
        request: ConnectRequest {
            authority: "localhost".into(),
            path: "/".into(),
            ..ConnectRequest::default()
        },
        server_certificate_hashes: None,
        idle_timeout_ms: 30_000,
        local_address: None,
        preferences: Preferences::default(),
        tls: TlsOptions {
            reject_unauthorized: Some(false),
            ..TlsOptions::default()
        },
        pooling: Pooling::Shared,
    }
}

impl Clients {
    fn new(server: &Endpoint) -> Self {
        Self {
            ear: Ear::new(),
            port: server.local_addr().expect("bound").port(),
            last: 0,
        }
    }

    fn start(&mut self) -> Client {
        let (client, port, run) = self.prepare();
        port.spawn(WebTransportSession::TERMINAL, run);
        client
    }

    /// A client, and what is to be run for it.
    fn prepare(&mut self) -> (Client, Arc<Port>, impl Future<Output = ()> + Send + use<>) {
        self.last += 1;
        let client = Client {
            id: self.last,
            session: Arc::default(),
            abandoned: CancellationToken::new(),
        };
        let port = self.ear.port(client.id);
        let target = Target::try_from(options(self.port)).expect("sound");
        let (session, abandoned) = (client.session.clone(), client.abandoned.clone());
        let run = client::run(target, port.clone(), session, abandoned, self.ear.environment());
        (client, port, run)
    }

    /// An established session.
    async fn open(&mut self, served: &Served) -> (Client, Asked) {
        let client = self.start();
        let mut asked = served.request().await;
        asked.grant().await;
        self.hear(&client, WebTransportEvent::Ready).await;
        (client, asked)
    }

    /// The first session, and the connection that was made for it.
    async fn first(&mut self, server: &Endpoint, settings: &[u8]) -> (Client, Served, Asked) {
        let client = self.start();
        let served = Served::next(server, settings).await;
        let mut asked = served.request().await;
        asked.grant().await;
        self.hear(&client, WebTransportEvent::Ready).await;
        (client, served, asked)
    }

    /// The next event, which is to be this one.
    async fn hear(&mut self, client: &Client, event: WebTransportEvent) -> Heard {
        let heard = self.ear.next().await;
        assert_eq!((heard.id, heard.event), (client.id, event.into()), "{heard:?}");
        heard
    }

    /// Until so many objects have had their last event.
    async fn ends(&mut self, count: usize) -> Vec<Heard> {
        let mut ends = Vec::new();
        while ends.len() < count {
            let heard = self.ear.next().await;
            if heard.event == i32::from(WebTransportEvent::Ended) {
                ends.push(heard);
            }
        }
        ends
    }

    /// Waits until so many sessions have a lease of one connection.
    async fn leased(&self, count: usize) {
        let environment = self.ear.environment();
        let connection = environment.kept::<Pool>().connections()[0].1.upgrade().expect("lives");
        let mut leases = connection.leases.subscribe();
        leases.wait_for(|leases| *leases == count).await.expect("lives");
    }
}
