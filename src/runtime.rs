//! The one tokio runtime of the process: made on first use, never shut down.
//!
//! The binding crate's own runtime ends with the last JavaScript environment and comes back as another one, which would
//! break sockets of a worker that outlives its siblings. This one stays; each environment ends its own tasks instead.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// More threads than this only move cache lines between cores: the work is bound by system calls. And no more than half
/// the cores: JavaScript and the peers need the others, and each message would wake a thread to look for work in vain.
const MAX_THREADS: usize = 4;

/// The runtime, started on first use.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Builder::new_multi_thread()
            .worker_threads((cores / 2).clamp(1, MAX_THREADS))
            .thread_name("webwire")
            .enable_all()
            .build()
            .expect("the system lets a process start its network threads")
    })
}

/// Runs a future that belongs to no JavaScript object. Tasks of an object go through [`crate::hub::Port::spawn`].
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime().spawn(future)
}

/// Less than the time of any timer that asks for a beat.
const BEAT: Duration = Duration::from_secs(1);
static BEATS: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

/// For whoever is about to set a timer of more than a second that is seldom to fire. tokio makes a system call to wake its
/// threads for each one that is sooner than all that are set; so one that is sooner is kept set while others are made.
pub(crate) fn beat() {
    ASKED.store(true, Ordering::Relaxed);
    if !BEATS.swap(true, Ordering::Relaxed) {
        spawn(async {
            while ASKED.swap(false, Ordering::Relaxed) {
                tokio::time::sleep(BEAT).await;
            }
            // Who asks just now goes without.
            BEATS.store(false, Ordering::Relaxed);
        });
    }
}
