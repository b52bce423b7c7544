//! The UDP socket under an endpoint on Unix. quinn's own asks the system to tell of each packet that has left, which wakes
//! the network's thread for nothing, and looks for more packets after it has had all.

use std::future::Future;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::descriptor::watch;
use crate::runtime::runtime;

/// A second descriptor of a socket that takes no more, which tells when it does.
type Full = Arc<AsyncFd<UdpSocket>>;

#[derive(Debug)]
pub(super) struct Socket {
    /// Tells of what comes only.
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    /// There while the socket takes no more.
    full: Mutex<Option<Full>>,
}

impl Socket {
    /// Must be called on the runtime.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        Ok(Self {
            state: UdpSocketState::new((&socket).into())?,
            io: watch(socket, Interest::READABLE)?,
            full: Mutex::new(None),
        })
    }

    fn full(&self) -> MutexGuard<'_, Option<Full>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket has taken no more.
    fn is_full(&self) -> io::Result<()> {
        let mut full = self.full();
        if full.is_none() {
            let _context = runtime().enter();
            let socket = self.io.get_ref().try_clone()?;
            *full = Some(Arc::new(watch(socket, Interest::WRITABLE)?));
        }
        Ok(())
    }

    /// Waits until the socket takes more.
    async fn has_room(self: Arc<Self>, full: Full) -> io::Result<()> {
        full.writable().await?.retain_ready();
        self.full().take_if(|other| Arc::ptr_eq(other, &full));
        Ok(())
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.state.send(self.io.get_ref().into(), transmit);
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) && self.is_full().is_err() {
            // Without a descriptor to wait with it is lost, as on a network that is full.
            return Ok(());
        }
        sent
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut readiness = ready!(self.io.poll_read_ready(context))?;
            match readiness.try_io(|io| self.state.recv(io.get_ref().into(), buffers, metas)) {
                Ok(received) => {
                    // Fewer than there was room for are all. The system tells of the next.
                    if received.as_ref().is_ok_and(|count| *count < buffers.len()) {
                        readiness.clear_ready();
                    }
                    return Poll::Ready(received);
                }
                Err(_nothing_there) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// A connection's look at whether the socket takes more.
struct Room {
    socket: Arc<Socket>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Room").finish_non_exhaustive()
    }
}

impl UdpPoller for Room {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let outcome = ready!(waiting.as_mut().poll(context));
                self.waiting = None;
                outcome?;
            }
            let Some(full) = self.socket.full().clone() else {
                return Poll::Ready(Ok(()));
            };
            self.waiting = Some(Box::pin(self.socket.clone().has_room(full)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use super::*;

    /// A socket of ours, and what it receives: the lengths of some packets.
    fn socket() -> (Arc<Socket>, SocketAddr) {
        let socket = Socket::new(UdpSocket::bind("127.0.0.1:0").expect("a port is free")).expect("it is one");
        let address = socket.local_addr().expect("it is bound");
        (Arc::new(socket), address)
    }

    /// The lengths of the packets that one read brings.
    async fn receive(socket: &Socket) -> Vec<usize> {
        poll_fn(|context| poll_receive(socket, context)).await
    }

    fn poll_receive(socket: &Socket, context: &mut Context<'_>) -> Poll<Vec<usize>> {
        const ROOM: usize = quinn::udp::BATCH_SIZE;
        let mut memory = [[0; 64]; ROOM];
        let mut metas = [RecvMeta::default(); ROOM];
        let mut buffers = memory.each_mut().map(|memory| IoSliceMut::new(memory));
        let received = ready!(socket.poll_recv(context, &mut buffers, &mut metas)).expect("nothing is wrong");
        Poll::Ready(metas[..received].iter().map(|meta| meta.len).collect())
    }

    fn transmit(to: SocketAddr, contents: &[u8]) -> Transmit<'_> {
        Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: None,
        }
    }

    #[tokio::test]
    async fn all_that_comes_is_received_and_what_comes_later_too() {
        let (peer, _) = socket();
        let (socket, address) = socket();
        let mut sent = 0;
        for many in [1, 1, quinn::udp::BATCH_SIZE, quinn::udp::BATCH_SIZE + 1, 3] {
            for _ in 0..many {
                sent += 1;
                peer.try_send(&transmit(address, &[0; 64][..sent % 64]))
                    .expect("there is room");
            }
            let mut received = Vec::new();
            while received.len() < many {
                received.extend(receive(&socket).await);
            }
            let lengths: Vec<_> = (sent + 1 - many..=sent).map(|number| number % 64).collect();
            assert_eq!(received, lengths);
            let nothing = poll_receive(&socket, &mut Context::from_waker(Waker::noop()));
            assert!(nothing.is_pending());
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_full_socket_is_told_when_it_takes_more() {
        let (socket, _) = socket();
        let mut rooms = [socket.clone().create_io_poller(), socket.clone().create_io_poller()];
        for _ in 0..3 {
            // Over the loopback interface none is ever full.
            socket.is_full().expect("there are descriptors");
            assert!(socket.full().is_some());
            for room in &mut rooms {
                let told = poll_fn(|context| room.as_mut().poll_writable(context));
                told.await.expect("nothing is wrong");
            }
            assert!(socket.full().is_none());
        }
    }
}
