//! What a server says of limits for each session, rightly and wrongly.

use super::*;
use crate::webtransport::http3::flow_control::Unit;
use crate::webtransport::receive_queue::AHEAD;
use crate::webtransport::streams::Direction;

/// What ends only its session: the others of the connection live on.
async fn ends_its_session(code: ErrorCode, violate: impl AsyncFn(&Served, &mut Asked) -> Vec<SendStream>) {
    let server = listen();
    let mut clients = Clients::new(&server);
    let (first, served, mut granted) = clients.first(&server, &shared(8)).await;
    let (other, mut others) = clients.open(&served).await;
    let _open = violate(&served, &mut granted).await;
    assert_eq!(granted.reset().await, code.0);
    let failed = clients.hear(&first, WebTransportEvent::Failed).await;
    assert!(failed.payload.starts_with(b"session\0ERR_HTTP3_PROTOCOL\0"));
    clients.hear(&first, WebTransportEvent::Ended).await;
    other.close();
    others.closed().await;
}

#[test]
fn a_limit_that_falls_ends_its_session() {
    runtime().block_on(async {
        for unit in [Unit::Data, Unit::Bidirectional, Unit::Unidirectional] {
            for falling in [&[0][..], &[2000, 1999]] {
                ends_its_session(ErrorCode::WT_FLOW_CONTROL_ERROR, async |_, granted| {
                    for limit in falling {
                        granted.say(Said::Max(unit, *limit)).await;
                    }
                    Vec::new()
                })
                .await;
            }
        }
    });
}

#[test]
fn capsules_that_cannot_be_end_their_session() {
    runtime().block_on(async {
        for (bytes, code) in [
            // WT_MAX_STREAM_DATA and WT_STREAM_DATA_BLOCKED are QUIC's.
            (capsule(0x190b_4d3e, &[0, 1]), ErrorCode::WT_FLOW_CONTROL_ERROR),
            (capsule(0x190b_4d42, &[0, 1]), ErrorCode::WT_FLOW_CONTROL_ERROR),
            (capsule(0x190b_4d3d, &[]), ErrorCode::H3_MESSAGE_ERROR),
            (capsule(0x190b_4d3f, &[0xff; 8]), ErrorCode::WT_FLOW_CONTROL_ERROR),
        ] {
            ends_its_session(code, async |_, granted| {
                granted.send(&bytes).await;
                Vec::new()
            })
            .await;
        }
    });
}

#[test]
fn a_stream_too_many_ends_its_session() {
    runtime().block_on(async {
        ends_its_session(ErrorCode::WT_FLOW_CONTROL_ERROR, async |served, granted| {
            let limit = Shares::client().each.expect("shared").unidirectional;
            let mut open = Vec::new();
            for _ in 0..=limit {
                let mut stream = served.quic.open_uni().await.expect("opens");
                let header = stream_header::encode_unidirectional(granted.id());
                stream.write_all(&header).await.expect("takes");
                open.push(stream);
            }
            open
        })
        .await;
    });
}

#[test]
fn more_bytes_than_a_session_may_have_unread_end_it() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let (first, served, mut granted) = clients.first(&server, &shared(8)).await;
        let (other, mut others) = clients.open(&served).await;
        let script = WebTransportSession::accepted(&first.session(), clients.ear.port(first.id));
        let limit = Shares::client().each.expect("shared").data;
        // Each stream is read so far ahead of its script, which reads nothing.
        let count = u32::try_from(limit / AHEAD as u64).expect("small");
        let header = stream_header::encode_unidirectional(granted.id());
        let mut open = Vec::new();
        let mut send = async |length: usize| {
            let mut stream = served.quic.open_uni().await.expect("opens");
            stream.write_all(&header).await.expect("takes");
            stream.write_all(&vec![0; length]).await.expect("takes");
            open.push(stream);
        };
        for index in 0..count {
            send(AHEAD).await;
            while !script.accept_stream(0, 100 + index) {
                clients.hear(&first, WebTransportEvent::IncomingUnidirectional).await;
            }
            script.halves.flush();
        }
        // All of it may be there. One byte more may not.
        send(1).await;
        assert_eq!(granted.reset().await, ErrorCode::WT_FLOW_CONTROL_ERROR.0);
        other.close();
        others.closed().await;
    });
}

#[test]
fn streams_of_ours_wait_for_the_servers_word() {
    runtime().block_on(async {
        // A server may say no limits in its SETTINGS, which are none then.
        for (settings, allowed) in [(shared(8), 1), (Settings::ours(8, None), 0)] {
            let server = listen();
            let mut clients = Clients::new(&server);
            let (client, _served, mut granted) = clients.first(&server, &settings).await;
            let session = client.session();
            let mut streams = Vec::new();
            for _ in 0..allowed {
                streams.push(session.open(Direction::Unidirectional).await.expect("allowed"));
            }
            let told = async {
                let blocked = granted.capsule().await.expect("lives").expect("goes on");
                assert_eq!(blocked, Said::Blocked(Unit::Unidirectional, allowed).into());
                // What is not known is passed over.
                granted.send(&capsule(0x17, b"grease")).await;
                granted.say(Said::Blocked(Unit::Unidirectional, 0)).await;
                granted.say(Said::Max(Unit::Unidirectional, allowed + 1)).await;
            };
            let (stream, ()) = tokio::join!(session.open(Direction::Unidirectional), told);
            assert!(stream.is_ok());
        }
    });
}

#[test]
fn what_is_said_of_limits_means_nothing_without_them() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let (client, _served, mut granted) = clients.first(&server, &Settings::ours(1, None)).await;
        for limit in [7, 6] {
            granted.say(Said::Max(Unit::Unidirectional, limit)).await;
        }
        for _ in 0..10 {
            client.session().open(Direction::Unidirectional).await.expect("allowed");
        }
        granted.send(&frame::data(&Capsule::DrainSession.encode())).await;
        clients.hear(&client, WebTransportEvent::Draining).await;
    });
}
