//! How a server ends a session on its stream, rightly and wrongly.

use super::*;

/// WT_CLOSE_SESSION.
const CLOSE_SESSION: u64 = 0x2843;

fn close(code: u32, reason: &str) -> Vec<u8> {
    let reason = reason.into();
    Capsule::CloseSession { code, reason }.encode()
}

/// The session has ended with code 5 and reason "x".
async fn hears_the_close(clients: &mut Clients, client: &Client) {
    clients.hear(client, WebTransportEvent::Stats).await;
    let closed = clients.hear(client, WebTransportEvent::Closed).await;
    assert_eq!((closed.a, &closed.payload[..]), (5, &b"x"[..]));
}

/// A session that has a connection of its own.
async fn alone(clients: &mut Clients, server: &Endpoint) -> (Client, Served, Asked) {
    clients.first(server, &Settings::ours(1, None)).await
}

#[test]
fn data_behind_the_end_of_a_session_resets_its_stream_and_the_first_word_counts() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let end = close(5, "x");
        for bytes in [
            frame::data(&[&end[..], b"more"].concat()),
            [frame::data(&end), frame::data(b"more")].concat(),
            frame::data(&[end.clone(), close(6, "y")].concat()),
            // What is no frame that may stand here.
            [frame::data(&end), frame::settings(&[])].concat(),
        ] {
            let (client, _served, mut granted) = alone(&mut clients, &server).await;
            granted.send(&bytes).await;
            hears_the_close(&mut clients, &client).await;
            assert_eq!(granted.reset().await, ErrorCode::H3_MESSAGE_ERROR.0);
            let stopped = granted.send.stopped().await;
            assert_eq!(stopped.ok().flatten(), Some(varint(ErrorCode::H3_MESSAGE_ERROR)));
            clients.hear(&client, WebTransportEvent::Ended).await;
        }
    });
}

#[test]
fn data_long_behind_the_end_of_a_session_resets_its_stream_too() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let (client, _served, mut granted) = alone(&mut clients, &server).await;
        granted.send(&frame::data(&close(5, "x"))).await;
        hears_the_close(&mut clients, &client).await;
        // Frames that mean nothing are none.
        granted.send(&[frame::data(&[]), vec![0x21, 1, 7]].concat()).await;
        granted.send(&frame::data(b"m")).await;
        assert_eq!(granted.reset().await, ErrorCode::H3_MESSAGE_ERROR.0);
        clients.hear(&client, WebTransportEvent::Ended).await;
    });
}

#[test]
fn a_session_that_ends_in_good_order_is_answered_in_good_order() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        // Another one keeps the connection.
        let (_other, served, _others) = clients.first(&server, &shared(8)).await;
        for bytes in [
            &frame::data(&close(5, "x"))[..],
            &[frame::data(&close(5, "x")), vec![0x21, 0]].concat(),
        ] {
            let (client, mut granted) = clients.open(&served).await;
            granted.send(bytes).await;
            granted.send.finish().expect("open");
            hears_the_close(&mut clients, &client).await;
            assert_eq!(granted.capsule().await.expect("lives"), None);
            clients.hear(&client, WebTransportEvent::Ended).await;
        }
    });
}

#[test]
fn an_end_that_is_too_long_or_too_short_is_no_end_and_resets_the_stream() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        // A code of four bytes and at most 1024 of a reason.
        for length in [0, 3, 1029, 70_000] {
            let (client, _served, mut granted) = alone(&mut clients, &server).await;
            granted.send(&capsule(CLOSE_SESSION, &vec![0; length])).await;
            let failed = clients.hear(&client, WebTransportEvent::Failed).await;
            assert!(failed.payload.starts_with(b"session\0ERR_HTTP3_PROTOCOL\0"));
            assert_eq!(granted.reset().await, ErrorCode::H3_MESSAGE_ERROR.0);
            clients.hear(&client, WebTransportEvent::Ended).await;
        }
        let (client, _served, mut granted) = alone(&mut clients, &server).await;
        granted.send(&capsule(CLOSE_SESSION, &[0; 1028])).await;
        clients.hear(&client, WebTransportEvent::Stats).await;
        assert_eq!(
            clients.hear(&client, WebTransportEvent::Closed).await.payload.len(),
            1024
        );
    });
}
