use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::hub::testing::Ear;
use crate::websocket::extensions::Parameters;
use crate::websocket::message::Kind;
use crate::websocket::transport::ByteStream;

const LIMITS: Limits = Limits {
    max_message_size: 1024,
    close_timeout: Duration::MAX,
    auto_pong: true,
    hears_until_close: false,
    max_queued: usize::MAX,
    keep_alive: None,
};

impl ByteStream for tokio::io::DuplexStream {}
impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin> ByteStream for tokio::io::Join<R, W> {}

#[test]
fn a_script_that_hears_of_the_opening_sends_compressed() {
    const THRESHOLD: usize = 100;
    let link = Link::new(Role::Client);
    let compresses: Arc<OnceLock<bool>> = Arc::default();
    // JavaScript may run as soon as it is woken.
    let ear = Ear::answering({
        let (link, compresses) = (link.clone(), compresses.clone());
        move || compresses.set(link.outgoing.compresses(THRESHOLD)).expect("woken once")
    });
    let (near, _far) = tokio::io::duplex(1024);
    let deflate = Deflate {
        parameters: Parameters::default(),
        threshold: THRESHOLD,
        level: 1,
    };
    let transport = Transport::other(near);
    let driver = Driver::new(
        transport,
        Vec::new(),
        Role::Client,
        Some(deflate),
        LIMITS,
        link,
        ear.port(1),
    );
    drop(driver.open("", "permessage-deflate", Wake::Now));
    assert_eq!(compresses.get(), Some(&true));
}

#[tokio::test]
async fn a_fault_is_answered_whenever_the_script_acknowledges_it() {
    const FAULT: [u8; 6] = [0x83, 0x80, 0, 0, 0, 0];
    const CLOSE: u8 = 0x88;
    let link = Link::new(Role::Server);
    let ear = Ear::new();
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(&FAULT).await.expect("there is room for it");
    far.shutdown().await.expect("it is open");
    let transport = Transport::other(near);
    let port = ear.port(1);
    let mut driver = Driver::new(transport, Vec::new(), Role::Server, None, LIMITS, link.clone(), port);
    poll_fn(|cx| {
        // As in a turn of the task, in which the script's thread is faster than this one.
        assert!(driver.write(cx).is_ready());
        assert!(matches!(driver.read(cx), Read::Ended(None)));
        assert!(!link.outgoing.lock().waits());
        link.outgoing.acknowledge();
        driver.follow_closing(cx);
        Poll::Ready(())
    })
    .await;
    let mut heard = Vec::new();
    let task = async move {
        let mut driver = driver;
        poll_fn(|cx| driver.poll(cx)).await;
    };
    let (read, ()) = tokio::join!(far.read_to_end(&mut heard), task);
    read.expect("it ends");
    assert_eq!(heard.first(), Some(&CLOSE));
}

/// Takes all that is written, in pieces.
struct Taking;

impl AsyncWrite for Taking {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len().min(64 * 1024)))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_peer_is_heard_while_it_takes_all_that_is_sent() {
    const CLOSE: [u8; 4] = [0x88, 0x02, 0x0f, 0xa0];
    const LENGTH: usize = 16 * 1024 * 1024;
    let link = Link::new(Role::Client);
    let mut ear = Ear::new();
    let transport = Transport::other(tokio::io::join(CLOSE.as_slice(), Taking));
    let limits = Limits {
        close_timeout: Duration::from_secs(60),
        ..LIMITS
    };
    let driver = Driver::new(
        transport,
        Vec::new(),
        Role::Client,
        None,
        limits,
        link.clone(),
        ear.port(1),
    );
    let message = vec![0; LENGTH];
    link.outgoing
        .send([(Kind::Binary, message.as_slice())].into_iter(), LENGTH);
    let task = tokio::spawn(driver.open("", "", Wake::Now));
    let mut taken = 0;
    loop {
        let heard = ear.next().await;
        if heard.event == WebSocketEvent::Closing as i32 {
            break;
        }
        if heard.event == WebSocketEvent::Drained as i32 {
            taken += heard.a as usize;
        }
    }
    assert!((1..LENGTH).contains(&taken), "{taken} bytes before the Close frame");
    link.outgoing.acknowledge();
    task.await.expect("it ends with the peer's end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sockets_are_looked_at_in_each_turn_that_is_yielded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("it is bound");
    let mut near = TcpStream::connect(at).await.expect("it listens");
    let (far, _) = listener.accept().await.expect("it has connected");
    let mut far = far.into_std().expect("it is a socket");
    let heard = Arc::new(AtomicBool::new(false));
    let hears = heard.clone();
    let reader = tokio::spawn(async move {
        near.read_u8().await.expect("a byte comes");
        hears.store(true, Ordering::Relaxed);
    });
    tokio::task::yield_now().await;
    far.write_all(&[1]).expect("there is room for it");
    // As a task of its own: what a test's own future does, tokio looks at each time.
    let turning = tokio::spawn(async move {
        let mut turns = 0;
        poll_fn(|cx| {
            if heard.load(Ordering::Relaxed) {
                return Poll::Ready(turns);
            }
            turns += 1;
            yield_turn(cx);
            Poll::Pending
        })
        .await
    });
    reader.await.expect("it reads one byte");
    let turns = turning.await.expect("it ends when that is heard");
    assert!(turns <= 3, "{turns} turns");
}
