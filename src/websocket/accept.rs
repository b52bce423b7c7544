//! The server's side of the opening handshake: TLS, the request, and the answer that the application gives
//! ([RFC 6455 section 4.2](https://www.rfc-editor.org/rfc/rfc6455#section-4.2)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::handshake::{MAX_HEAD, ServerRequest, parse_request, reject};
use super::transport::{ByteStream, Transport};
use crate::server_tls::{ServerTls, TlsPeer};

/// How long a refused client may take to read the answer.
const LINGER: Duration = Duration::from_secs(2);
/// The answer to what the application leaves unanswered, and to more requests than may wait.
pub(crate) const SERVICE_UNAVAILABLE: u16 = 503;

/// An accepted transport and what came behind its request.
pub(crate) type Accepted = (Transport, Vec<u8>);

/// What the application answers.
pub(crate) enum Answer {
    /// Send this response; the connection's task waits for the transport.
    Accept {
        response: Vec<u8>,
        to: oneshot::Sender<Accepted>,
    },
    /// Send this response and end.
    Reject { response: Vec<u8> },
}

/// A request that waits for its answer.
pub(crate) struct Waiting {
    pub(crate) request: ServerRequest,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The requests of a listener that wait, by number.
#[derive(Default)]
pub(crate) struct Requests {
    waiting: Mutex<HashMap<u32, Waiting>>,
    last: AtomicU32,
}

impl Requests {
    /// The lock is held for one look-up only.
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a request: its number, and where its answer will come.
    pub(crate) fn add(&self, request: ServerRequest) -> (u32, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let number = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.lock().insert(number, Waiting { request, answer });
        (number, answered)
    }

    /// Takes a request to answer it. `None`: it is answered or gone.
    pub(crate) fn take(&self, number: u32) -> Option<Waiting> {
        self.lock().remove(&number)
    }
}

/// What all handshakes of a listener share.
pub(crate) struct Reception {
    pub(crate) tls: Option<ServerTls>,
    /// For everything from the TCP connection to the application's answer.
    pub(crate) time: Duration,
    pub(crate) requests: Requests,
    /// The listener closes: who has not asked yet is not heard any more.
    pub(crate) closing: CancellationToken,
}

/// What a listener is told of one client's handshake.
pub(crate) trait Announce {
    /// A request came and waits under this number.
    fn request(&self, number: u32, request: &ServerRequest, peer: Option<&TlsPeer>);
    /// It can't be answered any more: the client has gone, or its time is up.
    fn gone(&self, number: u32);
}

/// A client at the listening socket.
pub(crate) enum Client {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A client whose request waits under this number.
pub(crate) struct Adopted {
    pub(crate) transport: Transport,
    /// What came behind the request.
    pub(crate) rest: Vec<u8>,
    pub(crate) number: u32,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

/// Leads one client from its TCP connection to its answer. `permit` counts it among the pending handshakes.
pub(crate) async fn receive(
    client: Client,
    reception: Arc<Reception>,
    announce: impl Announce,
    permit: OwnedSemaphorePermit,
) {
    let deadline = Instant::now() + reception.time;
    let heard = tokio::select! {
        heard = timeout_at(deadline, hear(client, &reception)) => heard.ok().flatten(),
        () = reception.closing.cancelled() => None,
    };
    let Some((transport, peer, rest, request)) = heard else {
        return;
    };
    let answered = match request {
        Ok(request) => {
            let copy = request.clone();
            let (number, answer) = reception.requests.add(request);
            announce.request(number, &copy, peer.as_ref());
            let adopted = Adopted {
                transport,
                rest,
                number,
                answer,
            };
            await_answer(adopted, deadline, &reception, &announce).await
        }
        Err(response) => Some((transport, rest, Answer::Reject { response })),
    };
    drop(permit);
    give(answered).await;
}

/// Leads a client that Node's http server has heard to its answer.
pub(crate) async fn adopt(
    adopted: Adopted,
    reception: Arc<Reception>,
    announce: impl Announce,
    permit: OwnedSemaphorePermit,
) {
    let deadline = Instant::now() + reception.time;
    let answered = await_answer(adopted, deadline, &reception, &announce).await;
    drop(permit);
    give(answered).await;
}

type Answered = (Transport, Vec<u8>, Answer);

async fn give(answered: Option<Answered>) {
    let Some((mut transport, rest, answer)) = answered else {
        return;
    };
    match answer {
        Answer::Accept { response, to } => {
            if transport.write_all(&response).await.is_ok() {
                // If the script has dropped the socket meanwhile, nobody waits for it.
                let _dropped = to.send((transport, rest));
            }
        }
        Answer::Reject { response } => refuse(transport, &response).await,
    }
}

/// Waits for the application's answer; at its time limit it is ours. `None`: the client has gone.
async fn await_answer(
    adopted: Adopted,
    deadline: Instant,
    reception: &Reception,
    announce: &impl Announce,
) -> Option<Answered> {
    let Adopted {
        mut transport,
        mut rest,
        number,
        mut answer,
    } = adopted;
    let forget = || {
        let waited = reception.requests.take(number).is_some();
        if waited {
            announce.gone(number);
        }
        waited
    };
    let mut late = false;
    loop {
        tokio::select! {
            answer = &mut answer => return answer.ok().map(|answer| (transport, rest, answer)),
            // Frames may follow the request before its answer; too many wait in the socket.
            read = transport.read_some(&mut rest), if rest.len() < MAX_HEAD => match read {
                Ok(length) if length > 0 => {}
                Ok(_) | Err(_) => {
                    forget();
                    return None;
                }
            },
            () = sleep_until(deadline), if !late => {
                if forget() {
                    let response = reject(SERVICE_UNAVAILABLE, &[], b"");
                    return Some((transport, rest, Answer::Reject { response }));
                }
                // Its answer is on the way.
                late = true;
            }
        }
    }
}

type Heard = (Transport, Option<TlsPeer>, Vec<u8>, Result<ServerRequest, Vec<u8>>);

/// Reads up to the end of the request; an invalid one comes with its answer.
async fn hear(client: Client, reception: &Reception) -> Option<Heard> {
    let (mut transport, peer) = match (client, &reception.tls) {
        (Client::Tcp(stream), tls) => {
            // A socket that cannot be told to send at once still sends.
            let _harmless = stream.set_nodelay(true);
            match tls {
                Some(tls) => secure(stream, tls).await?,
                None => (Transport::tcp(stream), None),
            }
        }
        #[cfg(unix)]
        (Client::Unix(stream), Some(tls)) => secure(stream, tls).await?,
        #[cfg(unix)]
        (Client::Unix(stream), None) => (Transport::other(stream), None),
    };
    let mut buffer = Vec::new();
    loop {
        if transport.read_some(&mut buffer).await.ok()? == 0 {
            return None;
        }
        match parse_request(&buffer) {
            Ok(Some((request, end))) => {
                let rest = buffer.split_off(end);
                return Some((transport, peer, rest, Ok(request)));
            }
            Ok(None) => {}
            Err(refusal) => return Some((transport, peer, Vec::new(), Err(refusal.to_bytes()))),
        }
    }
}

/// The TLS handshake of a client.
async fn secure(stream: impl ByteStream + 'static, tls: &ServerTls) -> Option<(Transport, Option<TlsPeer>)> {
    let stream = TlsAcceptor::from(tls.config.clone()).accept(stream).await.ok()?;
    let peer = tls.peer(stream.get_ref().1);
    Some((Transport::other(stream), Some(peer)))
}

/// Sends a response and ends; reads on for a moment, so that what the client still sends does not reset the answer away.
async fn refuse(mut transport: Transport, response: &[u8]) {
    let farewell = async {
        if transport.write_all(response).await.is_err() {
            return;
        }
        // If the client has ended it already, there is nothing to end.
        let _ended = std::future::poll_fn(|cx| transport.poll_shutdown(cx)).await;
        let mut discarded = Vec::new();
        while transport.read_some(&mut discarded).await.is_ok_and(|length| length > 0) {
            discarded.clear();
        }
    };
    // Who does not go by itself is cut off.
    let _late = timeout(LINGER, farewell).await;
}
