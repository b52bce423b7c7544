//! A JavaScript environment without JavaScript, for tests of tasks: what they emit is read here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use super::{Batch, Port, Shared, lock};
use crate::environment::Environment;

/// An event as JavaScript would get it.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The object.
    pub(crate) id: u32,
    pub(crate) event: i32,
    pub(crate) a: u32,
    pub(crate) payload: Vec<u8>,
}

/// Stands for JavaScript.
pub(crate) struct Ear {
    shared: Arc<Shared>,
    woken: Arc<Notify>,
    heard: VecDeque<Heard>,
}

impl Ear {
    pub(crate) fn new() -> Self {
        Self::answering(|| {})
    }

    /// Calls `answer` in the thread that emits, each time that JavaScript would be woken.
    pub(crate) fn answering(answer: impl Fn() + Send + Sync + 'static) -> Self {
        let woken: Arc<Notify> = Arc::default();
        let bell = woken.clone();
        let wake = move || {
            answer();
            bell.notify_one();
        };
        Self {
            shared: Shared::new(wake),
            woken,
            heard: VecDeque::new(),
        }
    }

    pub(crate) fn port(&self, id: u32) -> Arc<Port> {
        self.shared.port(id)
    }

    pub(crate) fn environment(&self) -> Arc<Environment> {
        self.shared.environment.clone()
    }

    /// See [`super::Hub::panic_at_next_event`].
    pub(crate) fn panic_at_next_event(&self, id: u32) {
        self.shared.panicking.store(id, Ordering::Relaxed);
    }

    /// The next event of all objects.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return heard;
            }
            let mut batch = Batch::default();
            {
                let mut back = lock(&self.shared.back);
                std::mem::swap(&mut batch, &mut back.batch);
                back.scheduled = false;
            }
            if batch.is_empty() {
                self.woken.notified().await;
                continue;
            }
            self.heard.extend(batch.into_heard());
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.shared.end();
    }
}
