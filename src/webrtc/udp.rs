//! UDP sockets that receive in batches and send segments together (recvmmsg, GRO and GSO, where the system has them).

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::BytesMut;
use quinn_udp::{RecvMeta, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::stack::{Path, Transmit};

/// Asked for; the system grants what it allows, and the association's window follows that.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
const SLOTS: usize = 8;
/// The longest run that the kernel puts together or takes apart.
const SLOT: usize = 64 * 1024;
/// A run is one IP packet for the kernel's purposes.
const MAX_RUN: usize = 65_000;

thread_local! {
    /// Shared by all connections that a thread serves.
    static SLAB: RefCell<Vec<u8>> = RefCell::new(vec![0; SLOTS * SLOT]);
}

/// One socket on one address.
pub(super) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    receive_buffer: usize,
}

/// Datagrams of one size to one address, put together; the last may be shorter.
pub(super) struct Run {
    path: Path,
    segment: usize,
    segments: usize,
    bytes: Vec<u8>,
}

impl Run {
    /// Begins a run with its first datagram.
    pub(super) fn new(first: Transmit) -> Self {
        Self {
            path: first.path,
            segment: first.datagram.len(),
            segments: 1,
            bytes: first.datagram.into(),
        }
    }

    /// Appends a datagram, or gives it back when the kernel would not cut the run as it must.
    pub(super) fn push(&mut self, next: Transmit, max_segments: usize) -> Option<Transmit> {
        let ended = self.bytes.len() != self.segment * self.segments;
        if next.path != self.path
            || ended
            || next.datagram.len() > self.segment
            || self.segments >= max_segments
            || self.bytes.len() + next.datagram.len() > MAX_RUN
        {
            return Some(next);
        }
        self.segments += 1;
        self.bytes.extend_from_slice(&next.datagram);
        None
    }

    /// The local address that it is sent from.
    pub(super) fn local(&self) -> SocketAddr {
        self.path.local
    }
}

impl Udp {
    /// A socket on a free port of the address. To be called on the runtime.
    pub(super) fn bind(address: IpAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((address, 0))?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        // Larger buffers are a wish: what is granted is read back.
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER);
        let receive_buffer = state.recv_buffer_size((&socket).into())?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            state,
            address,
            receive_buffer,
        })
    }

    /// Where it is bound.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of SO_RCVBUF that the system granted, by its own way of counting.
    pub(super) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// How many datagrams a [`Run`] may have.
    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Ready when there may be something to receive.
    pub(super) fn poll_receive(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_recv_ready(context)
    }

    /// Ready when sending may work again.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_send_ready(context)
    }

    /// Receives one batch and hands over each datagram; false when there was nothing.
    pub(super) fn receive(&self, mut take: impl FnMut(Path, BytesMut)) -> io::Result<bool> {
        SLAB.with_borrow_mut(|slab| {
            let mut metas = [RecvMeta::default(); SLOTS];
            let mut slots: Vec<_> = slab.chunks_exact_mut(SLOT).map(IoSliceMut::new).collect();
            let received = self.socket.try_io(Interest::READABLE, || {
                self.state.recv((&self.socket).into(), &mut slots, &mut metas)
            });
            let count = match received {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // An ICMP answer to something sent before; ICE notices for itself.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(true),
                Err(error) => return Err(error),
            };
            for (meta, slot) in metas.iter().zip(&slots).take(count) {
                let path = Path {
                    local: self.address,
                    remote: meta.addr,
                };
                for datagram in slot[..meta.len].chunks(meta.stride.max(1)) {
                    take(path, BytesMut::from(datagram));
                }
            }
            Ok(true)
        })
    }

    /// Sends a run; false when the socket's buffer is full. Other errors lose it, as UDP may.
    pub(super) fn send(&self, run: &Run) -> bool {
        let transmit = quinn_udp::Transmit {
            destination: run.path.remote,
            ecn: None,
            contents: &run.bytes,
            segment_size: (run.segments > 1).then_some(run.segment),
            src_ip: None,
        };
        let sent = self.socket.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.socket).into(), &transmit)
        });
        !matches!(sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transmit(port: u16, length: usize) -> Transmit {
        let local: SocketAddr = "127.0.0.1:1".parse().expect("an address");
        let remote = SocketAddr::new(local.ip(), port);
        Transmit {
            path: Path { local, remote },
            datagram: BytesMut::zeroed(length),
        }
    }

    #[test]
    fn a_run_takes_equal_datagrams_and_one_shorter_last() {
        let mut run = Run::new(transmit(9, 100));
        assert!(run.push(transmit(9, 100), 10).is_none());
        assert!(run.push(transmit(9, 101), 10).is_some(), "longer");
        assert!(run.push(transmit(8, 100), 10).is_some(), "another address");
        assert!(run.push(transmit(9, 40), 10).is_none());
        assert!(run.push(transmit(9, 40), 10).is_some(), "nothing after a shorter one");
        assert_eq!((run.segments, run.bytes.len()), (3, 240));
        let mut run = Run::new(transmit(9, 100));
        assert!(run.push(transmit(9, 100), 1).is_some(), "no segmentation");
    }

    #[tokio::test]
    async fn runs_arrive_as_datagrams() {
        let from = Udp::bind("127.0.0.1".parse().expect("an address")).expect("a socket");
        let to = Udp::bind("127.0.0.1".parse().expect("an address")).expect("a socket");
        let path = Path {
            local: from.address(),
            remote: to.address(),
        };
        let mut run = Run::new(Transmit {
            path,
            datagram: BytesMut::from(&[1; 1000][..]),
        });
        let second = Transmit {
            path,
            datagram: BytesMut::from(&[2; 500][..]),
        };
        let second = run.push(second, from.max_segments());
        std::future::poll_fn(|context| from.poll_send(context))
            .await
            .expect("writable");
        assert!(from.send(&run));
        if let Some(second) = second {
            assert!(from.send(&Run::new(second)));
        }
        let mut received = Vec::new();
        while received.len() < 2 {
            std::future::poll_fn(|context| to.poll_receive(context))
                .await
                .expect("readable");
            to.receive(|path, datagram| received.push((path.remote, datagram.len())))
                .expect("received");
        }
        assert_eq!(received, [(from.address(), 1000), (from.address(), 500)]);
        assert!(from.receive_buffer() > 0);
    }
}
