//! What the system's numbers of sockets are needed for on Unix: the one place with `unsafe` in this crate.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A second descriptor for a socket that Node's http server has accepted; it is closed in child processes (CLOEXEC). Node closes its own.
#[allow(unsafe_code, reason = "a number that Node gives us has no owner in Rust")]
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the caller is on JavaScript's thread, which holds the socket open until it returns, and the number is not
    // -1. Were it a number of nothing, the system would refuse to duplicate it.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

/// Has the system tell of what is of interest only. Must be called on the runtime.
#[allow(unsafe_code, reason = "tokio's own UDP socket is told of both")]
pub(crate) fn watch(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    // SAFETY: a UDP socket owns its descriptor, which stays the same and open until it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}
