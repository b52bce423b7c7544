//! Whom a client trusts, and how it shows who it is, against servers of raw quinn. On the one runtime of the process: the
//! clients' endpoint, which they share, must not end with the runtime of another test.

use std::net::Ipv4Addr;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::*;
use crate::runtime::runtime;
use crate::server_tls::{ClientCertificates, NamedCertificate, ServerTls};
use crate::webtransport::dial;

/// A certificate that is valid for some days, its key, and its hash.
struct Certificate {
    der: CertificateDer<'static>,
    key: rcgen::KeyPair,
    pem: String,
}

impl Certificate {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("sound");
        params.not_before = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
        params.not_after = params.not_before + time::Duration::DAY;
        let certificate = params.self_signed(&key).expect("signs");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    fn hash(&self) -> Hash {
        <sha2::Sha256 as sha2::Digest>::digest(&self.der).into()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key")
    }
}

/// Shows one certificate and signs with whatever key.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn shows(certificate: &Certificate, key: &Certificate) -> ServerConfig {
    let signing = tls::provider().key_provider.load_private_key(key.key()).expect("a key");
    let shown = CertifiedKey::new(vec![certificate.der.clone()], signing);
    builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(shown))))
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
}

fn listen(mut config: ServerConfig) -> Endpoint {
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = QuicServerConfig::try_from(config).expect("TLS 1.3");
    let config = quinn::ServerConfig::with_crypto(Arc::new(config));
    Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("binds")
}

/// Both ends of a connection to `server`, or why the client has none.
async fn dial(
    server: &Endpoint,
    hashes: Option<Vec<Hash>>,
    tls: TlsOptions,
) -> Result<(Connection, Connection), String> {
    let options = Options {
        host: "127.0.0.1".into(),
        port: server.local_addr().expect("bound").port(),
        request: ConnectRequest {
            authority: "localhost".into(),
            path: "/".into(),
            protocols: vec![],
            headers: vec![],
        },
        server_certificate_hashes: hashes,
        idle_timeout_ms: 30_000,
        local_address: None,
        preferences: Preferences::default(),
        tls,
        pooling: Pooling::Dedicated,
    };
    let target = Target::try_from(options).map_err(|error| error.message)?;
    let addresses = dial::resolve(&target.address)
        .await
        .expect("an address of this machine");
    let accept = async { server.accept().await.expect("open").await };
    let (client, served) = tokio::join!(dial::dial(&target.address, addresses), accept);
    let (client, _endpoint) = client.map_err(|cause| format!("{cause:?}"))?;
    Ok((client, served.expect("connects as well")))
}

#[test]
fn a_server_without_the_certificates_key_is_refused_in_spite_of_the_hash() {
    runtime().block_on(async {
        let (shown, other) = (Certificate::new(), Certificate::new());
        let honest = listen(shows(&shown, &shown));
        let connected = dial(&honest, Some(vec![shown.hash()]), TlsOptions::default()).await;
        assert!(connected.is_ok());
        let liar = listen(shows(&shown, &other));
        let refused = dial(&liar, Some(vec![shown.hash()]), TlsOptions::default()).await;
        assert!(refused.is_err());
    });
}

#[test]
fn a_session_of_tls_is_not_taken_up_again_under_other_hashes() {
    runtime().block_on(async {
        let certificate = Certificate::new();
        let server = listen(shows(&certificate, &certificate));
        let right = vec![certificate.hash()];
        let (first, served) = dial(&server, Some(right.clone()), TlsOptions::default())
            .await
            .expect("connects");
        // Until the tickets are there.
        let mut stream = served.open_uni().await.expect("opens");
        stream.write_all(b"x").await.expect("takes");
        first.accept_uni().await.expect("comes");
        let wrong = dial(&server, Some(vec![[0; 32]]), TlsOptions::default()).await;
        assert!(wrong.is_err());
        assert!(dial(&server, Some(right), TlsOptions::default()).await.is_ok());
    });
}

#[test]
fn a_client_shows_its_certificate_to_a_server_that_asks() {
    runtime().block_on(async {
        let (servers, clients) = (Certificate::new(), Certificate::new());
        let certificates = [NamedCertificate {
            name: None,
            cert: servers.pem.clone(),
            key: servers.key.serialize_pem(),
        }];
        // It asks, and does not insist.
        let asked = ClientCertificates {
            ca: Some(vec![servers.pem.clone()]),
            reject_unauthorized: false,
        };
        let config = ServerTls::new(&certificates, Some(&asked), ALPN).expect("sound").config;
        let server = listen((*config).clone());
        let identity = TlsOptions {
            ca: Some(vec![servers.pem.clone()]),
            cert: Some(clients.pem.clone()),
            key: Some(clients.key.serialize_pem()),
            servername: Some("localhost".into()),
            ..TlsOptions::default()
        };
        for hashes in [Some(vec![servers.hash()]), None] {
            let (_client, served) = dial(&server, hashes, identity.clone()).await.expect("connects");
            let shown = served.peer_identity().expect("asked for");
            let shown = shown.downcast::<Vec<CertificateDer<'static>>>().expect("certificates");
            assert_eq!(shown[..], *std::slice::from_ref(&clients.der));
        }
    });
}
