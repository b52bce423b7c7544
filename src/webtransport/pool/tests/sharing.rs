//! Who shares a connection, and what becomes of the others when one ends, or the connection does.

use super::*;
use crate::webtransport::session::INTERNAL;

#[test]
fn who_is_given_up_while_it_connects_leaves_the_connection_to_the_others() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let first = clients.start();
        let incoming = server.accept().await.expect("open");
        let second = clients.start();
        clients.leased(2).await;
        first.abandoned.cancel();
        clients.hear(&first, WebTransportEvent::Failed).await;
        clients.hear(&first, WebTransportEvent::Ended).await;
        let served = Served::begin(incoming, &shared(8)).await;
        let mut asked = served.request().await;
        asked.grant().await;
        clients.hear(&second, WebTransportEvent::Ready).await;
    });
}

#[test]
fn when_all_are_given_up_while_they_connect_the_attempt_ends_and_the_next_one_begins_another() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let first = clients.start();
        let _silent = server.accept().await.expect("open");
        let second = clients.start();
        clients.leased(2).await;
        first.abandoned.cancel();
        second.abandoned.cancel();
        clients.ends(2).await;
        let _third = clients.first(&server, &shared(8)).await;
    });
}

#[test]
fn who_is_given_up_while_it_asks_takes_its_request_back() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let second = clients.start();
        let served = Served::next(&server, &shared(8)).await;
        let mut asked = served.request().await;
        let (first, mut granted) = clients.open(&served).await;
        second.abandoned.cancel();
        assert_eq!(asked.reset().await, ErrorCode::H3_REQUEST_CANCELLED.0);
        clients.ends(1).await;
        // The other lives, and ends in good order.
        first.close();
        granted.closed().await;
    });
}

#[test]
fn a_server_says_how_many_sessions_share_a_connection() {
    runtime().block_on(async {
        // Without limits for each session there is one.
        for (settings, sessions) in [(shared(2), 2), (shared(1), 1), (Settings::ours(1, None), 1)] {
            let server = listen();
            let mut clients = Clients::new(&server);
            let mut all = Vec::new();
            for _ in 0..=sessions {
                all.push(clients.start());
            }
            let first = Served::next(&server, &settings).await;
            let mut granted = Vec::new();
            for _ in 0..sessions {
                let mut asked = first.request().await;
                asked.grant().await;
                granted.push(asked);
            }
            let second = Served::next(&server, &settings).await;
            let mut asked = second.request().await;
            asked.grant().await;
            for _ in 0..=sessions {
                assert_eq!(clients.ear.next().await.event, i32::from(WebTransportEvent::Ready));
            }
            assert!(!first.has_request() && !second.has_request());
        }
    });
}

#[test]
fn a_server_that_refuses_a_session_too_many_gets_it_on_another_connection() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let (_first, served, _granted) = clients.first(&server, &shared(8)).await;
        let second = clients.start();
        let mut asked = served.request().await;
        asked.send.reset(varint(ErrorCode::H3_REQUEST_REJECTED)).expect("open");
        let another = Served::next(&server, &shared(8)).await;
        let mut asked = another.request().await;
        asked.grant().await;
        clients.hear(&second, WebTransportEvent::Ready).await;
        second.close();
        asked.closed().await;
        clients.ends(1).await;
        assert_eq!(another.closed().await, ErrorCode::H3_NO_ERROR.0);
    });
}

#[test]
fn a_connection_ends_with_its_last_session() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let (first, served, mut granted) = clients.first(&server, &shared(8)).await;
        let (second, mut other) = clients.open(&served).await;
        first.close();
        granted.closed().await;
        clients.hear(&first, WebTransportEvent::Ended).await;
        assert!(served.quic.close_reason().is_none());
        // Its place is free.
        let (third, mut another) = clients.open(&served).await;
        for (client, asked) in [(second, &mut other), (third, &mut another)] {
            client.close();
            asked.closed().await;
        }
        assert_eq!(served.closed().await, ErrorCode::H3_NO_ERROR.0);
        clients.ends(2).await;
    });
}

#[test]
fn sessions_with_other_options_share_no_connection() {
    runtime().block_on(async {
        let server = listen();
        let ear = Ear::new();
        let port = server.local_addr().expect("bound").port();
        let lease = |change: &dyn Fn(&mut Options)| {
            let mut options = options(port);
            change(&mut options);
            let Target { address, key, .. } = Target::try_from(options).expect("sound");
            Lease::pooled(
                &key.expect("may be shared"),
                &Arc::new(address),
                &ear.environment(),
                Wanted::Any,
            )
        };
        let first = lease(&|_| {});
        assert!(!first.joined() && lease(&|_| {}).joined());
        let others: [&dyn Fn(&mut Options); 7] = [
            &|options| options.host = "localhost".into(),
            &|options| options.port = 9,
            &|options| options.idle_timeout_ms = 1000,
            &|options| options.local_address = Some("127.0.0.1".into()),
            &|options| options.preferences.anticipated_bidirectional = 1000,
            &|options| options.tls.reject_unauthorized = None,
            &|options| options.tls.servername = Some("other".into()),
        ];
        for other in others {
            assert!(!lease(other).joined());
        }
        assert!(lease(&|options| options.request.path = "/other".into()).joined());
    });
}

#[test]
fn a_connection_that_ends_while_it_is_joined_is_no_reason_to_fail() {
    runtime().block_on(async {
        let server = listen();
        let ear = Ear::new();
        let port = server.local_addr().expect("bound").port();
        let Target { address, key, .. } = Target::try_from(options(port)).expect("sound");
        let (address, key) = (Arc::new(address), key.expect("may be shared"));
        let lease = || Lease::pooled(&key, &address, &ear.environment(), Wanted::Any);
        let first = lease();
        let served = Served::next(&server, &shared(8)).await;
        assert!(first.open(&UnderWay::default()).await.is_ok());
        let second = lease();
        assert!(second.joined());
        served.quic.close(VarInt::from_u32(0), b"");
        let mut phase = second.connection.phase.subscribe();
        let ended = phase.wait_for(|phase| matches!(phase, Phase::Ended)).await;
        drop(ended.expect("lives"));
        assert!(matches!(second.open(&UnderWay::default()).await, Err(Refused::Here(_))));
        assert!(!lease().joined());
    });
}

#[test]
fn a_panic_of_a_connections_task_ends_its_sessions_and_no_others() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let (first, mut served, _asked) = clients.first(&server, &shared(8)).await;
        let (_second, _granted) = clients.open(&served).await;
        // One that still waits for its answer goes elsewhere.
        let third = clients.start();
        let _asked = served.request().await;
        clients.ear.panic_at_next_event(first.id);
        served.control.write_all(&frame::goaway(1 << 20)).await.expect("takes");
        assert_eq!(served.closed().await, ErrorCode::H3_INTERNAL_ERROR.0);
        let another = Served::next(&server, &shared(8)).await;
        let mut asked = another.request().await;
        let ends = clients.ends(2).await;
        assert!(ends.iter().all(|end| end.id != third.id && end.a <= INTERNAL));
        asked.grant().await;
        clients.hear(&third, WebTransportEvent::Ready).await;
    });
}

#[test]
fn the_end_of_an_environment_ends_its_connections_and_no_others() {
    runtime().block_on(async {
        let server = listen();
        let (mut clients, mut others) = (Clients::new(&server), Clients::new(&server));
        let (_ours, served, _asked) = clients.first(&server, &shared(8)).await;
        let theirs = others.start();
        let elsewhere = Served::next(&server, &shared(8)).await;
        let mut granted = elsewhere.request().await;
        granted.grant().await;
        others.hear(&theirs, WebTransportEvent::Ready).await;
        let environment = clients.ear.environment();
        drop(clients);
        served.closed().await;
        // Nothing begins any more.
        let Target { address, key, .. } = Target::try_from(options(9)).expect("sound");
        let late = Lease::pooled(&key.expect("shared"), &Arc::new(address), &environment, Wanted::Any);
        assert!(matches!(late.open(&UnderWay::default()).await, Err(Refused::Here(_))));
        late.end().await;
        theirs.close();
        granted.closed().await;
    });
}

#[test]
fn a_server_that_breaks_the_protocol_as_it_answers_is_told() {
    runtime().block_on(async {
        let status = |status| {
            let response = ConnectResponse {
                status,
                ..ConnectResponse::default()
            };
            frame::headers(&response.encode())
        };
        let long = [&[1][..], &[0x80, 1, 0, 1]].concat();
        for (answer, code) in [
            // Too long: the request fails, and no other.
            (long, ErrorCode::H3_EXCESSIVE_LOAD),
            (status(404), ErrorCode::H3_REQUEST_CANCELLED),
        ] {
            let server = listen();
            let mut clients = Clients::new(&server);
            let (first, served, mut granted) = clients.first(&server, &shared(8)).await;
            let second = clients.start();
            let mut asked = served.request().await;
            asked.send(&answer).await;
            assert_eq!(asked.reset().await, code.0);
            clients.hear(&second, WebTransportEvent::Failed).await;
            clients.hear(&second, WebTransportEvent::Ended).await;
            first.close();
            granted.closed().await;
        }
        // What is a mistake of the connection ends it.
        let server = listen();
        let mut clients = Clients::new(&server);
        let (_first, served, _granted) = clients.first(&server, &shared(8)).await;
        let _second = clients.start();
        served.request().await.send(&frame::data(b"x")).await;
        assert_eq!(served.closed().await, ErrorCode::H3_FRAME_UNEXPECTED.0);
        clients.ends(2).await;
    });
}
