//! Tasks that JavaScript's thread may run in place of the runtime: what a script writes to an idle stream is then on the
//! wire when it goes on, and no thread of the network has to wake up for it.
//!
//! Such a task is one of the runtime's, with one more thing: what wakes it inside of [`run`] does not wake a thread of the
//! runtime, but has it polled there.

use std::any::Any;
use std::cell::RefCell;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use quinn::{AsyncTimer, AsyncUdpSocket, TokioRuntime};

use crate::runtime::runtime;

/// Tasks that are run in place of the runtime, at most: those of a session and of its connection, and of one more.
const AT_MOST: usize = 4;
/// How often a thread polls a task at most when others ask for that meanwhile; then the runtime does.
const POLLS: usize = 2;

thread_local! {
    /// What has been woken inside of [`run`], when this thread is there.
    static WOKEN: RefCell<Option<Woken>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Woken {
    tasks: Vec<Arc<Direct>>,
    /// How many of them have been polled or are about to be.
    polled: usize,
}

/// Does `work`, and polls once, on this thread, each task of [`task`] that it wakes. What there is to do then is left
/// to the runtime.
pub(crate) fn run(work: impl FnOnce()) {
    let is_inside = WOKEN.with_borrow_mut(|woken| {
        let is_inside = woken.is_some();
        woken.get_or_insert_default();
        is_inside
    });
    if is_inside {
        return work();
    }
    let _rest = Rest;
    work();
    let _context = runtime().enter();
    while let Some(task) = next() {
        task.poll();
    }
}

/// The next task that has been woken on this thread.
fn next() -> Option<Arc<Direct>> {
    WOKEN.with_borrow_mut(|woken| {
        let woken = woken.as_mut()?;
        let task = woken.tasks.get(woken.polled).cloned()?;
        woken.polled += 1;
        Some(task)
    })
}

/// Leaves to the runtime what has not been polled, by a panic.
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(Woken { tasks, polled }) = WOKEN.take() {
            tasks.iter().skip(polled).for_each(|task| task.task.wake());
        }
    }
}

enum Work {
    Running(Pin<Box<dyn Future<Output = ()> + Send>>),
    Ended,
    /// By a defect of ours, which the runtime's task is to end with.
    Panicked(Box<dyn Any + Send>),
}

struct Direct {
    work: Mutex<Work>,
    /// How often a poll has been asked for since a thread began with it; 0 when none is there.
    asked: AtomicUsize,
    /// The runtime's task.
    task: AtomicWaker,
}

impl Direct {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls here. Where another thread does so now nobody waits: that one polls once more.
    fn poll(self: &Arc<Self>) {
        if self.asked.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let mut asked = 1;
        for _ in 0..POLLS {
            self.poll_once();
            match self
                .asked
                .compare_exchange(asked, 0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(more) => asked = more,
            }
        }
        self.asked.store(0, Ordering::Release);
        self.task.wake();
    }

    fn poll_once(self: &Arc<Self>) {
        let mut work = self.work();
        let Work::Running(future) = &mut *work else {
            return;
        };
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        *work = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(())) => Work::Ended,
            Err(panic) => Work::Panicked(panic),
        };
        drop(work);
        self.task.wake();
    }
}

impl Wake for Direct {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let here = WOKEN.try_with(|woken| {
            let Ok(mut woken) = woken.try_borrow_mut() else {
                return false;
            };
            let Some(Woken { tasks, polled }) = woken.as_mut() else {
                return false;
            };
            match tasks.iter().position(|task| Arc::ptr_eq(task, self)) {
                Some(index) => index >= *polled,
                None if tasks.len() < AT_MOST => {
                    tasks.push(self.clone());
                    true
                }
                None => false,
            }
        });
        // An error means that the thread is ending.
        if !here.unwrap_or(false) {
            self.task.wake();
        }
    }
}

/// What the runtime is to spawn for `future`.
pub(crate) fn task(future: impl Future<Output = ()> + Send + 'static) -> impl Future<Output = ()> + Send + 'static {
    Task::new(future)
}

struct Task(Arc<Direct>);

impl Task {
    fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Direct {
            work: Mutex::new(Work::Running(Box::pin(future))),
            asked: AtomicUsize::new(0),
            task: AtomicWaker::new(),
        }))
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let direct = &self.0;
        direct.task.register(context.waker());
        direct.poll();
        let mut work = match direct.work.try_lock() {
            Ok(work) => work,
            Err(TryLockError::Poisoned(work)) => work.into_inner(),
            // Whoever polls it now wakes this one at its end.
            Err(TryLockError::WouldBlock) => return Poll::Pending,
        };
        match &*work {
            Work::Running(_) => Poll::Pending,
            Work::Ended => Poll::Ready(()),
            Work::Panicked(_) => match std::mem::replace(&mut *work, Work::Ended) {
                Work::Panicked(panic) => resume_unwind(panic),
                Work::Running(_) | Work::Ended => unreachable!("it has just been seen"),
            },
        }
    }
}

/// What wakes the future holds this, and the future holds what wakes it.
impl Drop for Task {
    fn drop(&mut self) {
        let mut work = self.0.work();
        let ended = std::mem::replace(&mut *work, Work::Ended);
        drop(work);
        drop(ended);
    }
}

/// The runtime of one endpoint of quinn: its connections' tasks are ones of [`task`].
#[derive(Debug, Default)]
pub(crate) struct EndpointRuntime {
    /// The endpoint's own task, which receives and is none of those, comes before all others.
    has_begun: AtomicBool,
}

impl quinn::Runtime for EndpointRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        if self.has_begun.swap(true, Ordering::Relaxed) {
            TokioRuntime.spawn(Box::pin(task(future)));
        } else {
            TokioRuntime.spawn(future);
        }
    }

    #[cfg(unix)]
    fn wrap_udp_socket(&self, socket: UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(super::socket::Socket::new(socket)?))
    }

    #[cfg(not(unix))]
    fn wrap_udp_socket(&self, socket: UdpSocket) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::OnceLock;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::{ThreadId, current};

    use super::*;

    type Step = Box<dyn FnMut(&Waker) -> Poll<()> + Send>;

    /// Spawns a task whose polls do `step`, and returns it and where each poll has been.
    fn spawn(mut step: Step) -> (Arc<Direct>, Receiver<ThreadId>, tokio::task::JoinHandle<()>) {
        let (polls, polled) = channel();
        let task = Task::new(poll_fn(move |context| {
            let outcome = step(context.waker());
            let _test_is_over = polls.send(current().id());
            outcome
        }));
        let direct = task.0.clone();
        let ended = runtime().spawn(task);
        assert_ne!(polled.recv(), Ok(current().id()), "the runtime polls it first");
        while direct.asked.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        (direct, polled, ended)
    }

    #[test]
    fn what_is_woken_inside_is_polled_on_this_thread() {
        let (direct, polled, ended) = spawn(Box::new(|_| Poll::Pending));
        let waker = Waker::from(direct);
        run(|| {
            waker.wake_by_ref();
            waker.wake_by_ref();
            assert!(polled.try_recv().is_err(), "before the work is done");
        });
        assert_eq!(polled.try_recv(), Ok(current().id()));
        assert!(polled.try_recv().is_err(), "once");
        waker.wake();
        assert_ne!(polled.recv(), Ok(current().id()));
        ended.abort();
    }

    #[test]
    fn what_is_left_to_do_is_done() {
        let mut again = true;
        let step = move |waker: &Waker| {
            if WOKEN.with_borrow(Option::is_some) && std::mem::take(&mut again) {
                waker.wake_by_ref();
            }
            Poll::Pending
        };
        let (direct, polled, ended) = spawn(Box::new(step));
        let waker = Waker::from(direct);
        run(|| waker.wake_by_ref());
        assert_eq!(polled.recv(), Ok(current().id()));
        // By the runtime, or here if that would have had to wait.
        assert!(polled.recv().is_ok());
        ended.abort();
    }

    #[test]
    fn whoever_asks_while_another_thread_polls_does_not_wait_for_it() {
        let own: Arc<OnceLock<Arc<Direct>>> = Arc::default();
        let direct = own.clone();
        let mut meanwhile = true;
        let step = move |waker: &Waker| {
            if WOKEN.with_borrow(Option::is_some) && std::mem::take(&mut meanwhile) {
                let waker = waker.clone();
                let woken = std::thread::spawn(move || waker.wake());
                woken.join().expect("the runtime is told");
                let direct = direct.get().expect("it has been spawned");
                while direct.asked.load(Ordering::Acquire) < 2 {
                    std::thread::yield_now();
                }
            }
            Poll::Pending
        };
        let (direct, polled, ended) = spawn(Box::new(step));
        let waker = Waker::from(direct.clone());
        assert!(own.set(direct).is_ok());
        run(|| waker.wake_by_ref());
        assert_eq!(polled.recv(), Ok(current().id()));
        assert_eq!(polled.recv(), Ok(current().id()), "and has it polled there once more");
        ended.abort();
    }

    #[test]
    fn the_runtimes_task_ends_as_it_ended_here() {
        for panics in [false, true] {
            let mut first = true;
            let step = move |_: &Waker| match std::mem::take(&mut first) {
                true => Poll::Pending,
                false if panics => panic!("asked for by a test"),
                false => Poll::Ready(()),
            };
            let (direct, _polled, ended) = spawn(Box::new(step));
            let waker = Waker::from(direct);
            run(|| waker.wake_by_ref());
            let outcome = runtime().block_on(ended);
            assert_eq!(outcome.is_err_and(|error| error.is_panic()), panics);
        }
    }

    #[test]
    fn what_is_woken_by_a_panic_is_not_lost() {
        let (direct, polled, ended) = spawn(Box::new(|_| Poll::Pending));
        let waker = Waker::from(direct);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            run(|| {
                waker.wake_by_ref();
                panic!("asked for by a test");
            });
        }));
        assert!(panicked.is_err());
        assert_ne!(polled.recv(), Ok(current().id()));
        ended.abort();
    }

    #[test]
    fn an_ended_task_drops_what_it_ran() {
        let (held, dropped) = channel::<()>();
        let (_direct, _polled, ended) = spawn(Box::new(move |_| {
            let _held = &held;
            Poll::Pending
        }));
        ended.abort();
        assert!(dropped.recv().is_err());
    }
}
