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

use super::cause::{Cause, Phase};
use super::handshake::{MAX_HEAD, Refusal, RequestReader, ServerRequest, reject};
use super::transport::{ByteStream, Transport};
use crate::server_tls::{ServerTls, TlsPeer};

/// How long a refused client may take to read the answer.
const LINGER: Duration = Duration::from_secs(2);
/// The answer to what the application leaves unanswered, and to more requests than may wait.
pub(crate) const SERVICE_UNAVAILABLE: u16 = 503;

/// An accepted transport and what came behind its request; or why there is none.
pub(crate) type Accepted = Result<(Transport, Vec<u8>), Cause>;

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

    /// Takes a request that can't be answered any more, and says so before anybody could look for it in vain. False: it is
    /// answered.
    fn give_up(&self, number: u32, announce: impl FnOnce()) -> bool {
        let mut waiting = self.lock();
        let waited = waiting.remove(&number).is_some();
        if waited {
            announce();
        }
        waited
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
    fn gone(&self, number: u32, cause: &Cause);
    /// No request came.
    fn refused(&self, cause: Cause);
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
        heard = timeout_at(deadline, hear(client, &reception)) => {
            heard.unwrap_or_else(|_| Err(Cause::timed_out(Phase::Handshake)))
        }
        () = reception.closing.cancelled() => return,
    };
    let (transport, peer, rest, request) = match heard {
        Ok(heard) => heard,
        Err(cause) => {
            announce.refused(cause);
            return;
        }
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
        Err(refusal) => {
            announce.refused(refusal.into());
            let response = refusal.to_bytes();
            Some((transport, rest, Answer::Reject { response }))
        }
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
            let written = transport.write_all(&response).await;
            let accepted = written
                .map(|()| (transport, rest))
                .map_err(|error| Cause::system(Phase::Handshake, "write", &error));
            // If the script has dropped the socket meanwhile, nobody waits for it.
            let _dropped = to.send(accepted);
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
    let give_up = |cause: &Cause| reception.requests.give_up(number, || announce.gone(number, cause));
    let mut late = false;
    loop {
        tokio::select! {
            answer = &mut answer => return answer.ok().map(|answer| (transport, rest, answer)),
            // Frames may follow the request before its answer; too many wait in the socket.
            read = transport.read_some(&mut rest), if rest.len() < MAX_HEAD => match read {
                Ok(length) if length > 0 => {}
                ended => {
                    let cause = Cause::read(Phase::Handshake, ended.err().as_ref());
                    if !give_up(&cause)
                        && let Ok(Answer::Accept { to, .. }) = answer.await
                    {
                        // If the script has dropped the socket meanwhile, nobody waits for it.
                        let _dropped = to.send(Err(cause));
                    }
                    return None;
                }
            },
            () = sleep_until(deadline), if !late => {
                if give_up(&Cause::timed_out(Phase::Handshake)) {
                    let response = reject(SERVICE_UNAVAILABLE, &[], b"");
                    return Some((transport, rest, Answer::Reject { response }));
                }
                // Its answer is on the way.
                late = true;
            }
        }
    }
}

type Heard = (Transport, Option<TlsPeer>, Vec<u8>, Result<ServerRequest, Refusal>);

/// Reads up to the end of the request.
async fn hear(client: Client, reception: &Reception) -> Result<Heard, Cause> {
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
    let mut reader = RequestReader::default();
    let mut buffer = Vec::new();
    loop {
        match transport.read_some(&mut buffer).await {
            Ok(length) if length > 0 => {}
            ended => return Err(Cause::read(Phase::Handshake, ended.err().as_ref())),
        }
        match reader.read(&buffer) {
            Ok(Some((request, end))) => {
                let rest = buffer.split_off(end);
                return Ok((transport, peer, rest, Ok(request)));
            }
            Ok(None) => {}
            Err(refusal) => return Ok((transport, peer, Vec::new(), Err(refusal))),
        }
    }
}

/// The TLS handshake of a client.
async fn secure(stream: impl ByteStream + 'static, tls: &ServerTls) -> Result<(Transport, Option<TlsPeer>), Cause> {
    let stream = TlsAcceptor::from(tls.config.clone()).accept(stream).await;
    let stream = stream.map_err(|error| Cause::tls(&error))?;
    let peer = tls.peer(stream.get_ref().1);
    Ok((Transport::other(stream), Some(peer)))
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
