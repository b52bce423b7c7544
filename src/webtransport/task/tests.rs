//! Peers that break the rules, made of raw quinn: what they get, and that the others live on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ServerConfig, TransportConfig, VarInt};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::tls;
use crate::webtransport::certificate_hash;
use crate::webtransport::http3::frame::{self, Frame};
use crate::webtransport::http3::stream_header;
use crate::webtransport::limits::EARLY_STREAMS;

/// Both ends of a connection; the endpoints live as long as it.
pub(in crate::webtransport) struct Pair {
    pub(in crate::webtransport) client: Connection,
    pub(in crate::webtransport) server: Connection,
    _endpoints: (Endpoint, Endpoint),
}

pub(in crate::webtransport) async fn pair() -> Pair {
    pair_with(Arc::default()).await
}

/// With these limits of the server's.
pub(in crate::webtransport) async fn pair_with(limits: Arc<TransportConfig>) -> Pair {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("sound");
    params.not_before = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
    params.not_after = params.not_before + time::Duration::DAY;
    let certificate = params.self_signed(&key).expect("signs");
    let hash = <sha2::Sha256 as sha2::Digest>::digest(certificate.der()).into();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let tls13 = &[&rustls::version::TLS13];
    let mut server = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls13)
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("belong together");
    server.alpn_protocols = vec![b"h3".to_vec()];
    let mut client = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls13)
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(certificate_hash::verifier(vec![hash]))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h3".to_vec()];
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server).expect("TLS 1.3")));
    server.transport_config(limits);
    let listening = Endpoint::server(server, any).expect("binds");
    let dialing = Endpoint::client(any).expect("binds");
    let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).expect("TLS 1.3")));
    let address = listening.local_addr().expect("bound");
    let connecting = dialing.connect_with(client, address, "localhost").expect("a name");
    let accept = async { listening.accept().await.expect("open").await };
    let (client, server) = tokio::join!(connecting, accept);
    Pair {
        client: client.expect("connects"),
        server: server.expect("connects"),
        _endpoints: (listening, dialing),
    }
}

/// Sends `bytes` on a unidirectional stream and leaves it open.
pub(super) async fn send(connection: &Connection, bytes: &[u8]) -> SendStream {
    let mut stream = connection.open_uni().await.expect("opens");
    stream.write_all(bytes).await.expect("takes");
    stream
}

fn sound_settings() -> Vec<u8> {
    [stream_header::OUR_CONTROL, &frame::settings(&Settings::ours(1, None))].concat()
}

/// What the raw client of a server of ours gets for these unidirectional streams: the code that ends the connection.
async fn punished(streams: &[&[u8]]) -> u64 {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    let serving = tokio::spawn(http3.serve());
    let mut open = Vec::new();
    for stream in streams {
        open.push(send(&pair.client, stream).await);
    }
    let ConnectionError::ApplicationClosed(close) = pair.client.closed().await else {
        panic!("closed otherwise")
    };
    assert!(matches!(serving.await.expect("no panic"), End::Violation(_)));
    close.error_code.into_inner()
}

#[tokio::test]
async fn bad_control_streams_end_the_connection() {
    let sound = sound_settings();
    let twice = [&sound[..], &frame::settings(&[])].concat();
    for (streams, code) in [
        (&[&[0, 4, 1, 8][..]][..], ErrorCode::H3_FRAME_ERROR),
        (&[&[0, 4, 2, 8, 2]], ErrorCode::H3_SETTINGS_ERROR),
        (&[&[0, 4, 4, 8, 1, 8, 1]], ErrorCode::H3_SETTINGS_ERROR),
        (&[&[0, 4, 2, 2, 0]], ErrorCode::H3_SETTINGS_ERROR),
        (&[&[0, 7, 1, 0]], ErrorCode::H3_MISSING_SETTINGS),
        (&[&[0, 4, 0xbf, 255, 255, 255]], ErrorCode::H3_EXCESSIVE_LOAD),
        (&[&twice], ErrorCode::H3_FRAME_UNEXPECTED),
        (&[&sound, &sound], ErrorCode::H3_STREAM_CREATION_ERROR),
        (&[&sound, &[2], &[2]], ErrorCode::H3_STREAM_CREATION_ERROR),
        (&[&sound, &[3], &[3]], ErrorCode::H3_STREAM_CREATION_ERROR),
        (&[&sound, &[1, 0]], ErrorCode::H3_ID_ERROR),
        (&[&sound, &[0x40, 0x54, 1]], ErrorCode::H3_ID_ERROR),
    ] {
        assert_eq!(punished(streams).await, code.0, "{streams:?}");
    }
}

#[tokio::test]
async fn a_control_stream_that_ends_ends_the_connection() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.serve());
    let mut control = send(&pair.client, &sound_settings()).await;
    control.finish().expect("open");
    let ConnectionError::ApplicationClosed(close) = pair.client.closed().await else {
        panic!("closed otherwise")
    };
    assert_eq!(close.error_code.into_inner(), ErrorCode::H3_CLOSED_CRITICAL_STREAM.0);
}

#[tokio::test]
async fn settings_one_byte_at_a_time_and_grease() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    let serving = tokio::spawn(http3.clone().serve());
    let mut control = pair.client.open_uni().await.expect("opens");
    for byte in sound_settings() {
        control.write_all(&[byte]).await.expect("takes");
    }
    control.write_all(&[0x21, 3, 1, 2, 3]).await.expect("takes");
    // A stream of an unknown type is refused, and nothing else.
    let grease = send(&pair.client, &[0x21, 1, 2]).await;
    assert_eq!(
        grease.stopped().await.expect("lives").map(VarInt::into_inner),
        Some(ErrorCode::H3_STREAM_CREATION_ERROR.0)
    );
    let _encoder = send(&pair.client, &[2, 1, 2, 3]).await;
    assert_eq!(http3.peer_settings().await.expect("sent").max_sessions, 1);
    assert!(!serving.is_finished());
}

#[tokio::test]
async fn a_client_takes_no_requests_and_no_pushes() {
    for (bidirectional, bytes, code) in [
        (true, &[1, 0][..], ErrorCode::H3_STREAM_CREATION_ERROR),
        (false, &[1, 0], ErrorCode::H3_ID_ERROR),
    ] {
        let pair = pair().await;
        let (http3, _requests) = Http3::new(pair.client.clone(), Role::Client, Shares::ALONE);
        tokio::spawn(http3.serve());
        let mut stream = if bidirectional {
            pair.server.open_bi().await.expect("opens").0
        } else {
            pair.server.open_uni().await.expect("opens")
        };
        stream.write_all(bytes).await.expect("takes");
        let ConnectionError::ApplicationClosed(close) = pair.server.closed().await else {
            panic!("closed otherwise")
        };
        assert_eq!(close.error_code.into_inner(), code.0);
    }
}

#[tokio::test]
async fn streams_of_unknown_sessions_wait_up_to_a_limit() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.clone().serve());
    let mut early = Vec::new();
    for _ in 0..EARLY_STREAMS {
        early.push(send(&pair.client, &stream_header::encode_unidirectional(400)).await);
    }
    let code = |stopped: Result<Option<VarInt>, _>| stopped.map(|code| code.map(VarInt::into_inner));
    let late = send(&pair.client, &stream_header::encode_unidirectional(400)).await;
    let rejected = Some(ErrorCode::WT_BUFFERED_STREAM_REJECTED.0);
    assert_eq!(code(late.stopped().await), Ok(rejected));
    // A request that is refused takes its streams with it; a later stream's session is gone.
    http3.refuse(400);
    for stream in early {
        assert_eq!(code(stream.stopped().await), Ok(rejected));
    }
    let gone = send(&pair.client, &stream_header::encode_unidirectional(400)).await;
    assert_eq!(code(gone.stopped().await), Ok(Some(ErrorCode::WT_SESSION_GONE.0)));
}

#[tokio::test]
async fn a_later_sessions_end_says_nothing_of_an_earlier_one() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.clone().serve());
    http3.refuse(400);
    // Its request may be on its way; that of the first can not.
    let late = send(&pair.client, &stream_header::encode_unidirectional(396)).await;
    let gone = send(&pair.client, &stream_header::encode_unidirectional(0)).await;
    let code = |code: ErrorCode| Ok(Some(varint(code)));
    assert_eq!(gone.stopped().await, code(ErrorCode::WT_SESSION_GONE));
    http3.refuse(396);
    assert_eq!(late.stopped().await, code(ErrorCode::WT_BUFFERED_STREAM_REJECTED));
}

#[tokio::test]
async fn a_datagram_without_a_session_is_dropped_and_a_malformed_one_ends_the_connection() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.serve());
    pair.client.send_datagram(Bytes::from_static(&[9, 1, 2])).expect("fits");
    pair.client.send_datagram(Bytes::from_static(&[0x40])).expect("fits");
    let ConnectionError::ApplicationClosed(close) = pair.client.closed().await else {
        panic!("closed otherwise")
    };
    assert_eq!(close.error_code.into_inner(), ErrorCode::H3_DATAGRAM_ERROR.0);
}

#[tokio::test]
async fn a_request_comes_with_what_has_been_read_of_it() {
    let pair = pair().await;
    let (http3, mut requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    tokio::spawn(http3.serve());
    let (mut send, _receive) = pair.client.open_bi().await.expect("opens");
    for byte in frame::headers(b"fields") {
        send.write_all(&[byte]).await.expect("takes");
    }
    let mut stream = requests.recv().await.expect("serves");
    assert_eq!(stream.id(), 0);
    let Ok(Some(Frame::Headers(section))) = stream.next().await else {
        panic!("no headers")
    };
    assert_eq!(section, "fields");
    // Half a frame, then the end.
    send.write_all(&[0, 5, 1]).await.expect("takes");
    send.finish().expect("open");
    assert!(matches!(stream.next().await, Ok(Some(Frame::Data(_)))));
    assert!(matches!(
        stream.next().await,
        Err(super::super::connect_stream::Broken::Violation(_))
    ));
}

#[tokio::test]
async fn a_task_that_is_dropped_closes_its_connection() {
    let pair = pair().await;
    let (http3, _requests) = Http3::new(pair.server.clone(), Role::Server, Shares::ALONE);
    let serving = tokio::spawn(http3.serve());
    let control = pair.client.accept_uni().await.expect("serves");
    serving.abort();
    let ConnectionError::ApplicationClosed(close) = pair.client.closed().await else {
        panic!("closed otherwise")
    };
    assert_eq!(close.error_code.into_inner(), ErrorCode::H3_INTERNAL_ERROR.0);
    drop(control);
}
