//! The byte stream under a connection: TCP, or whatever lies over it or beside it (TLS, a socket of the file system).

use std::io::{self, IoSlice};
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::{client, server};
use tokio_util::io::poll_read_buf;

/// What bytes can be read from and written to.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The TCP connection that carries it, where it is known.
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

impl ByteStream for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl<S: ByteStream> ByteStream for client::TlsStream<S> {
    fn tcp(&self) -> Option<&TcpStream> {
        self.get_ref().0.tcp()
    }
}

impl<S: ByteStream> ByteStream for server::TlsStream<S> {}

#[cfg(unix)]
impl ByteStream for UnixStream {}

/// An established byte stream.
pub(crate) enum Transport {
    /// The writing half is shared with JavaScript's thread, which tries the first write of an idle queue itself.
    Tcp(OwnedReadHalf, Arc<OwnedWriteHalf>),
    /// TLS, or anything else that is not a bare TCP connection.
    Other(Box<dyn ByteStream>),
}

impl Transport {
    /// Of a TCP connection.
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self::Tcp(read, Arc::new(write))
    }

    /// Of any other stream.
    pub(crate) fn other(stream: impl ByteStream + 'static) -> Self {
        Self::Other(Box::new(stream))
    }

    /// Of a socket that another owner has opened: TCP or unix-domain. To be called within the runtime.
    #[cfg(unix)]
    pub(crate) fn of_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        if socket2::SockRef::from(&descriptor).local_addr()?.is_unix() {
            let stream = std::os::unix::net::UnixStream::from(descriptor);
            stream.set_nonblocking(true)?;
            return Ok(Self::other(UnixStream::from_std(stream)?));
        }
        let stream = std::net::TcpStream::from(descriptor);
        stream.set_nonblocking(true)?;
        // A socket that cannot be told to send at once still sends.
        let _harmless = stream.set_nodelay(true);
        Ok(Self::tcp(TcpStream::from_std(stream)?))
    }

    /// The socket, when bytes can be written to it as they are.
    pub(crate) fn direct(&self) -> Option<Arc<OwnedWriteHalf>> {
        match self {
            Self::Tcp(_, write) => Some(write.clone()),
            Self::Other(_) => None,
        }
    }

    /// What the peer sends next is acknowledged at once. After the dialogue of TLS the system would wait 40 ms for something to
    /// send with that, and a server that has Nagle's algorithm on for that with what it sends behind its answer.
    pub(crate) fn acknowledge_at_once(&self) {
        let Self::Other(stream) = self else { return };
        let Some(tcp) = stream.tcp() else { return };
        // Where that fails it only takes longer.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _harmless = tcp.set_quickack(true);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _cannot_be_told = tcp;
    }

    /// Reads into `buffer`; 0 is the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut target = ReadBuf::new(buffer);
        let done = match self {
            Self::Tcp(read, _) => Pin::new(read).poll_read(cx, &mut target),
            Self::Other(stream) => Pin::new(stream).poll_read(cx, &mut target),
        };
        ready!(done)?;
        Poll::Ready(Ok(target.filled().len()))
    }

    /// Appends to `buffer`, which has room; 0 is the end of the stream.
    pub(crate) fn poll_append(&mut self, cx: &mut Context<'_>, mut buffer: impl BufMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(read, _) => poll_read_buf(Pin::new(read), cx, &mut buffer),
            Self::Other(stream) => poll_read_buf(Pin::new(stream), cx, &mut buffer),
        }
    }

    /// Reads up to `limit` bytes onto the end of `buffer`, which has room. `None`: this transport has bytes of its own
    /// and can't.
    pub(crate) fn poll_read_onto(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
        limit: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        match self {
            Self::Tcp(read, _) => {
                let stream: &TcpStream = (*read).as_ref();
                Some(poll_tcp(
                    cx,
                    || stream.try_read_buf(&mut (&mut *buffer).limit(limit)),
                    stream,
                ))
            }
            Self::Other(_) => None,
        }
    }

    /// Writes some of `slices`.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(_, write) => loop {
                let stream: &TcpStream = (**write).as_ref();
                ready!(stream.poll_write_ready(cx))?;
                match stream.try_write_vectored(slices) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            },
            Self::Other(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Passes on what TLS holds back.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(..) => Poll::Ready(Ok(())),
            Self::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Ends our direction; the peer sees the end of the stream behind what was written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_, write) => {
                let stream: &TcpStream = (**write).as_ref();
                Poll::Ready(socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write))
            }
            Self::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Writes all of `bytes` and flushes. Not cancel safe.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::future::poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(bytes)])).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Appends what comes next to `buffer`; 0 is the end of the stream. Cancel safe.
    pub(crate) async fn read_some(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut chunk = [0; 2048];
        let length = std::future::poll_fn(|cx| self.poll_read(cx, &mut chunk)).await?;
        buffer.extend_from_slice(&chunk[..length]);
        Ok(length)
    }
}

fn poll_tcp(
    cx: &mut Context<'_>,
    mut read: impl FnMut() -> io::Result<usize>,
    stream: &TcpStream,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match read() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_lies_over_tcp_is_acknowledged_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_quickack(false).expect("it is a TCP socket");
        let transport = Transport::other(stream);
        transport.acknowledge_at_once();
        let Transport::Other(stream) = transport else {
            unreachable!("it was made so");
        };
        let tcp = stream.tcp().expect("it is one");
        assert!(tcp.quickack().expect("it is a TCP socket"));
    }
}
