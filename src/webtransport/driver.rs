//! Runs the streams of a session, all in one task: a task for each half would cost more than a small stream does, and
//! wake the network's threads each time.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A stream that is run.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Has a stream run until it ends; `ended` is called then, also when it has panicked.
pub(crate) fn running(
    stream: impl Future<Output = ()> + Send + 'static,
    ended: impl FnOnce() + Send + 'static,
) -> Running {
    Box::pin(AssertUnwindSafe(stream).catch_unwind().map(|_defect| ended()))
}

/// Where the streams of a session are run.
pub(crate) struct Driver {
    state: Mutex<State>,
    changed: Notify,
}

enum State {
    /// No stream has been there.
    Unused,
    /// The task runs; these are to be run by it too.
    Used(Vec<Running>),
    /// The session has ended, and the task with it.
    Ended,
}

/// What is to be done with a stream that begins.
pub(crate) enum Begun {
    /// It runs.
    Running,
    /// It will run when [`Driver::run`] does.
    First,
    /// Nobody runs it any more.
    TooLate(Running),
}

impl Driver {
    /// One that runs nothing.
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State::Unused),
            changed: Notify::const_new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a stream until it ends.
    pub(crate) fn begin(&self, stream: Running) -> Begun {
        let mut state = self.state();
        match &mut *state {
            State::Unused => {
                *state = State::Used(vec![stream]);
                Begun::First
            }
            State::Used(starting) => {
                starting.push(stream);
                if starting.len() == 1 {
                    self.changed.notify_one();
                }
                Begun::Running
            }
            State::Ended => Begun::TooLate(stream),
        }
    }

    /// Runs all streams, until the session has ended and they have too.
    pub(crate) async fn run(&self, session_ended: &CancellationToken) {
        let mut running = FuturesUnordered::new();
        loop {
            if let State::Used(starting) = &mut *self.state() {
                running.extend(starting.drain(..));
            }
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                Some(()) = running.next() => {}
                () = session_ended.cancelled(), if running.is_empty() => {
                    let mut state = self.state();
                    if matches!(&*state, State::Used(starting) if starting.is_empty()) {
                        *state = State::Ended;
                        return;
                    }
                }
            }
        }
    }

    /// Nobody runs streams any more. Those that have not begun are dropped.
    pub(crate) fn abandon(&self) {
        let left = std::mem::replace(&mut *self.state(), State::Ended);
        drop(left);
    }

    /// The session has ended before any stream was there.
    pub(crate) fn end_unused(&self) {
        let mut state = self.state();
        if matches!(&*state, State::Unused) {
            *state = State::Ended;
        }
    }
}
