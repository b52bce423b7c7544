//! Servers that have a connection, and say nothing that makes it one of WebTransport.

use super::*;

impl Clients {
    /// Waits until the first connection is in this step.
    async fn reached(&self, step: cause::Phase) {
        let environment = self.ear.environment();
        let connection = environment.kept::<Pool>().connections()[0].1.upgrade().expect("lives");
        let mut phase = connection.phase.subscribe();
        let reached = phase.wait_for(|phase| matches!(phase, Phase::Connecting(now) if *now == step));
        drop(reached.await.expect("lives"));
    }
}

/// The client's session has a clock of its own here: its connection and the server live on the runtime.
#[tokio::test]
async fn a_server_that_never_says_its_settings_is_given_up_in_time() {
    let server = runtime().spawn(async { listen() }).await.expect("no panic");
    let mut clients = Clients::new(&server);
    let (client, _port, run) = clients.prepare();
    let running = tokio::spawn(run);
    let accepted = runtime().spawn(async move {
        let quic = server.accept().await.expect("open").await.expect("connects");
        (server, quic)
    });
    let (_server, quic) = accepted.await.expect("no panic");
    clients.reached(cause::Phase::Settings).await;
    tokio::time::pause();
    let failed = clients.hear(&client, WebTransportEvent::Failed).await;
    assert!(failed.payload.starts_with(b"settings\0ETIMEDOUT\0"), "{failed:?}");
    clients.hear(&client, WebTransportEvent::Ended).await;
    running.await.expect("no panic");
    let closed = runtime().spawn(async move { quic.closed().await });
    assert!(matches!(
        closed.await.expect("no panic"),
        ConnectionError::ApplicationClosed(_)
    ));
}

#[test]
fn a_server_that_goes_away_before_it_is_asked_gets_no_session() {
    runtime().block_on(async {
        let server = listen();
        let mut clients = Clients::new(&server);
        let client = clients.start();
        let quic = server.accept().await.expect("open").await.expect("connects");
        let mut control = quic.open_uni().await.expect("opens");
        let said = [
            stream_header::OUR_CONTROL,
            &frame::settings(&shared(8)),
            &frame::goaway(0),
        ]
        .concat();
        control.write_all(&said).await.expect("takes");
        let failed = clients.hear(&client, WebTransportEvent::Failed).await;
        assert!(
            failed.payload.starts_with(b"request\0ERR_REQUEST_REFUSED\0"),
            "{failed:?}"
        );
        clients.hear(&client, WebTransportEvent::Ended).await;
        assert!(matches!(quic.closed().await, ConnectionError::ApplicationClosed(_)));
    });
}
