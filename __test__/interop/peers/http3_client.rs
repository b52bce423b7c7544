//! An HTTP/3 client on the crates h3 and h3-quinn: does what it is asked to against `../http3.test.mjs`, and panics when
//! something is not as it should be.
//!
//! usage: http3-client PORT CERTIFICATE EXERCISE

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::large_futures,
    reason = "a program of the tests"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use quinn::crypto::rustls::QuicClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_tungstenite::tungstenite::http::{HeaderMap, Method, Request, Response, StatusCode, request};

type Client = SendRequest<OpenStreams, Bytes>;
type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

const MIB: usize = 1024 * 1024;

#[tokio::main]
async fn main() {
    let [port, certificate, exercise] = std::env::args().skip(1).collect::<Vec<_>>().try_into().unwrap();
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
    let connecting = endpoint.connect_with(trusting(&certificate), address, "localhost");
    let connection = connecting.unwrap().await.unwrap();
    let (mut driver, client) = h3::client::new(h3_quinn::Connection::new(connection)).await.unwrap();
    let driving = tokio::spawn(async move { driver.wait_idle().await });
    run(client, &exercise).await;
    driving.abort();
    endpoint.close(0x100_u32.into(), b"");
    endpoint.wait_idle().await;
    println!("done");
}

fn trusting(certificate: &str) -> quinn::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h3".to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

async fn run(client: Client, exercise: &str) {
    match exercise {
        "members" => members(client).await,
        "get" => get(client).await,
        "head" => head(client).await,
        "echo" => echo(client).await,
        "parallel" => parallel(client).await,
        "statuses" => statuses(client).await,
        "answered-early" => answered_early(client).await,
        "wrong-length" => wrong_length(client).await,
        "broken-answer" => broken_answer(client).await,
        "unread" => unread(client).await,
        "cancelled" => cancelled(client).await,
        "late" => late(client).await,
        "two-sessions" => two_sessions(client).await,
        other => panic!("no exercise {other}"),
    }
}

fn request(method: Method, path: &str) -> request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
}

async fn ask(client: &mut Client, request: request::Builder) -> Stream {
    client.send_request(request.body(()).unwrap()).await.unwrap()
}

/// The whole answer to a request without content.
async fn answer(client: &mut Client, request: request::Builder) -> (Response<()>, Vec<u8>) {
    let mut stream = ask(client, request).await;
    stream.finish().await.unwrap();
    let response = stream.recv_response().await.unwrap();
    let content = read(&mut stream).await;
    (response, content)
}

async fn read(stream: &mut Stream) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(mut piece) = stream.recv_data().await.unwrap() {
        content.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    content
}

/// Bytes that are not all the same.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

async fn members(mut client: Client) {
    let request = request(Method::GET, "/members?a=%20b")
        .header("x-one", "1")
        .header("x-one", "2")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let (response, content) = answer(&mut client, request).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(!response.headers().contains_key("connection"));
    println!("{}", String::from_utf8(content).unwrap());
}

async fn get(mut client: Client) {
    let (response, content) = answer(&mut client, request(Method::GET, "/head")).await;
    assert_eq!((response.status().as_u16(), &content[..]), (200, &b"12345"[..]));
}

async fn head(mut client: Client) {
    let (response, content) = answer(&mut client, request(Method::HEAD, "/head")).await;
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(content, b"");
    let (response, content) = answer(&mut client, request(Method::GET, "/head")).await;
    assert_eq!(response.headers()["content-length"], "5");
    assert_eq!(content, b"12345");
}

/// Writes and reads at once, as the echo needs it.
async fn echo(mut client: Client) {
    let content = pattern(4 * MIB + 17);
    let request = request(Method::POST, "/echo").header("content-length", content.len());
    let (mut send, mut receive) = ask(&mut client, request).await.split();
    let expected = content.clone();
    let writing = tokio::spawn(async move {
        for piece in content.chunks(100_000) {
            send.send_data(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-behind", "ignored".parse().unwrap());
        send.send_trailers(trailers).await.unwrap();
        send.finish().await.unwrap();
    });
    assert_eq!(receive.recv_response().await.unwrap().status(), StatusCode::OK);
    let mut echoed = Vec::new();
    while let Some(mut piece) = receive.recv_data().await.unwrap() {
        echoed.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    writing.await.unwrap();
    assert!(echoed == expected, "{} bytes came back", echoed.len());
}

async fn parallel(client: Client) {
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut client = client.clone();
        asking.spawn(async move {
            let mut stream = ask(&mut client, request(Method::PUT, "/echo")).await;
            let content = pattern(number * 100);
            stream.send_data(content.clone().into()).await.unwrap();
            stream.finish().await.unwrap();
            assert_eq!(stream.recv_response().await.unwrap().status(), StatusCode::OK);
            assert_eq!(read(&mut stream).await, content);
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
}

async fn statuses(mut client: Client) {
    for (method, path, status) in [
        (Method::GET, "/nothing", 404),
        (Method::GET, "/throws", 500),
        (Method::GET, "/no-response", 500),
        (Method::GET, "/no-content", 204),
        (Method::TRACE, "/members", 501),
        (Method::OPTIONS, "/echo", 200),
        (Method::POST, "/echo", 200),
    ] {
        let (response, content) = answer(&mut client, request(method.clone(), path)).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(content, b"", "{method} {path}");
    }
}

/// An answer is whole although the server has not read the request.
async fn answered_early(mut client: Client) {
    let (mut send, mut receive) = ask(&mut client, request(Method::POST, "/early")).await.split();
    let writing = tokio::spawn(async move {
        for _ in 0..64 {
            if send.send_data(pattern(MIB).into()).await.is_err() {
                return;
            }
        }
        panic!("the server has let us send all of it");
    });
    assert_eq!(receive.recv_response().await.unwrap().status().as_u16(), 413);
    let mut piece = receive.recv_data().await.unwrap().unwrap();
    assert_eq!(&piece.copy_to_bytes(piece.remaining())[..], b"too much");
    assert!(receive.recv_data().await.unwrap().is_none());
    writing.await.unwrap();
}

/// Too little, and too much.
async fn wrong_length(mut client: Client) {
    for length in [4, 6] {
        let mut stream = ask(
            &mut client,
            request(Method::POST, "/read").header("content-length", length),
        )
        .await;
        stream.send_data(Bytes::from_static(b"12345")).await.unwrap();
        let _refused = stream.finish().await;
        let error = stream.recv_response().await.unwrap_err().to_string();
        assert!(error.contains("H3_MESSAGE_ERROR"), "{error}");
    }
    let (response, _) = answer(&mut client, request(Method::GET, "/head")).await;
    assert_eq!(response.status(), StatusCode::OK);
}

/// The end of an answer that is not whole is no end.
async fn broken_answer(mut client: Client) {
    for path in ["/broken", "/short", "/no-bytes"] {
        let mut stream = ask(&mut client, request(Method::GET, path)).await;
        stream.finish().await.unwrap();
        let error = match stream.recv_response().await {
            Err(error) => error,
            Ok(_) => loop {
                match stream.recv_data().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{path} seems whole"),
                    Err(error) => break error,
                }
            },
        };
        assert!(error.to_string().contains("H3_INTERNAL_ERROR"), "{path}: {error}");
    }
}

/// Reads only when the test says that the server waits.
async fn unread(mut client: Client) {
    let mut stream = ask(&mut client, request(Method::GET, "/unread")).await;
    stream.finish().await.unwrap();
    stream.recv_response().await.unwrap();
    println!("waiting");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
        .await
        .unwrap()
        .unwrap();
    let content = read(&mut stream).await;
    assert_eq!(content.len(), 32 * MIB);
    assert!(content == pattern(MIB).repeat(32));
}

async fn cancelled(mut client: Client) {
    let mut stream = ask(&mut client, request(Method::GET, "/endless")).await;
    stream.recv_response().await.unwrap();
    stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
    stream.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
    println!("cancelled");
    let (response, _) = answer(&mut client, request(Method::GET, "/head")).await;
    assert_eq!(response.status(), StatusCode::OK);
}

async fn late(mut client: Client) {
    let mut stream = ask(&mut client, request(Method::GET, "/late")).await;
    stream.finish().await.unwrap();
    assert_eq!(stream.recv_response().await.unwrap().status().as_u16(), 503);
}

/// Asks for two sessions at once on a connection that may have one.
async fn two_sessions(mut client: Client) {
    let mut asked = Vec::new();
    for _ in 0..2 {
        let connect = request(Method::CONNECT, "/").extension(h3::ext::Protocol::WEB_TRANSPORT);
        asked.push(ask(&mut client, connect).await);
    }
    // Whichever the server has read first.
    let mut granted = 0;
    for stream in &mut asked {
        match stream.recv_response().await {
            Ok(response) => {
                assert_eq!(response.status(), StatusCode::OK);
                granted += 1;
            }
            Err(error) => assert!(error.to_string().contains("H3_REQUEST_REJECTED"), "{error}"),
        }
    }
    assert_eq!(granted, 1);
}
