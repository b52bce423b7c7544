//! A JavaScript environment (the main thread, or a worker) as tasks see it: they end with it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use crate::runtime;

/// The tasks of an environment, and what an API keeps for it.
#[derive(Default)]
pub(crate) struct Environment {
    tasks: Mutex<Tasks>,
    next_task: AtomicU64,
    kept: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

enum Tasks {
    Running(HashMap<u64, AbortHandle>),
    Ended,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::Running(HashMap::new())
    }
}

/// Every change under these locks is complete or not begun.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Environment {
    /// Runs a task on the shared runtime. It is dropped when the environment ends; `guard` is dropped with it, however it
    /// ends.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        guard: impl Send + 'static,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.next_task.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            environment: self.clone(),
            task,
        };
        // Dropped before the entry, which locks it too.
        let mut tasks = lock(&self.tasks);
        match &mut *tasks {
            Tasks::Ended => {}
            Tasks::Running(running) => {
                // Boxed, since the block has room for what it takes and again for what it awaits.
                let future = Box::pin(future);
                let handle = runtime::spawn(async move {
                    let _guards = (entry, guard);
                    future.await;
                });
                running.insert(task, handle.abort_handle());
            }
        }
    }

    /// Ends all tasks, and those to come.
    pub(crate) fn end(&self) {
        let tasks = std::mem::replace(&mut *lock(&self.tasks), Tasks::Ended);
        match tasks {
            Tasks::Running(running) => running.into_values().for_each(|task| task.abort()),
            Tasks::Ended => {}
        }
    }

    /// What an API keeps for the environment: one of each type, made when it is first asked for.
    pub(crate) fn kept<Kept: Any + Default + Send + Sync>(&self) -> Arc<Kept> {
        let mut kept = lock(&self.kept);
        let one = kept
            .entry(TypeId::of::<Kept>())
            .or_insert_with(|| Arc::new(Kept::default()));
        one.clone().downcast().expect("it stands under its own type")
    }
}

/// Takes a task that has ended out of the environment's.
struct Entry {
    environment: Arc<Environment>,
    task: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        match &mut *lock(&self.environment.tasks) {
            Tasks::Running(running) => drop(running.remove(&self.task)),
            Tasks::Ended => {}
        }
    }
}
