//! A second descriptor for a socket that Node's http server has accepted: the one place with `unsafe` in this crate.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Duplicates Node's descriptor; the copy is closed in child processes (CLOEXEC). Node closes its own.
#[allow(unsafe_code, reason = "a number that Node gives us has no owner in Rust")]
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the caller is on JavaScript's thread, which holds the socket open until it returns, and the number is not
    // -1. Were it a number of nothing, the system would refuse to duplicate it.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}
