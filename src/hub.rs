//! The door between the network and one JavaScript environment (the main thread, or a worker).
//!
//! Events of all objects of an environment stand in one queue, in order. The first event of an idle queue wakes
//! JavaScript once; `web/hub.ts` then takes whole batches with [`Hub::drain`] into memory that it reuses. An object may
//! only have so much undelivered ([`BUDGET`]): its task waits in [`Port::room`] before it reads more from the network,
//! and that is the back-pressure.

use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use tokio::sync::Notify;
use tokio::time::sleep;

pub(crate) use crate::buffer::Payload;
use crate::environment::Environment;
use crate::runtime;

mod batch;

use batch::{Batch, Events};

/// Undelivered bytes that one object may have before its task stops reading: enough for a millisecond of small
/// messages at full speed, and what one slow consumer can make us hold.
pub(crate) const BUDGET: usize = 1024 * 1024;
/// What an event costs of the budget beside its payload.
const EVENT_COST: usize = 128;
/// How long an event may wait for the next one, so that JavaScript wakes once for both.
pub(crate) const SOON: Duration = Duration::from_millis(1);
/// Of events that come together, JavaScript is woken before the last one when so much waits: it can begin.
const AT_ONCE: usize = 256 * 1024;

struct Shared {
    /// What tasks add to.
    back: Mutex<Back>,
    /// What JavaScript is taking from; only its thread locks it.
    front: Mutex<Batch>,
    /// Wakes JavaScript.
    wake: Box<dyn Fn() + Send + Sync>,
    ended: AtomicBool,
    environment: Arc<Environment>,
    /// See [`Hub::panic_at_next_event`]; ids begin at 1.
    panicking: AtomicU32,
}

#[derive(Default)]
struct Back {
    batch: Batch,
    scheduled: bool,
    /// Somebody wakes JavaScript when the time of an event that may wait is up.
    awaited: bool,
}

/// When JavaScript is to wake for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Now,
    /// When the next event comes, which is expected; after [`SOON`] at the latest.
    Soon,
}

/// A panic while a lock was held leaves the queue as it was: every change under these locks is complete or not begun.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            back: Mutex::default(),
            front: Mutex::default(),
            wake: Box::new(wake),
            ended: AtomicBool::new(false),
            environment: Arc::default(),
            panicking: AtomicU32::new(0),
        })
    }

    fn port(self: &Arc<Self>, id: u32) -> Arc<Port> {
        Arc::new(Port {
            shared: self.clone(),
            id,
            undelivered: AtomicUsize::new(0),
            room: Notify::new(),
            on_room: OnceLock::new(),
            ended: AtomicBool::new(false),
        })
    }

    fn call(&self) {
        if !self.ended.load(Ordering::Acquire) {
            (self.wake)();
        }
    }

    /// Wakes JavaScript for what waits, unless somebody has done so.
    fn call_if_any_waits(&self) {
        let mut back = lock(&self.back);
        back.awaited = false;
        if !back.batch.is_empty() {
            self.call_once(back);
        }
    }

    /// Wakes JavaScript, unless somebody has done so since it last found the queue empty.
    fn call_once(&self, mut back: MutexGuard<'_, Back>) {
        let wake = !std::mem::replace(&mut back.scheduled, true);
        drop(back);
        if wake {
            self.call();
        }
    }

    /// Ends all tasks of the environment and never calls into it again.
    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.environment.end();
    }
}

/// The native half of `web/hub.ts`: one for each JavaScript environment.
#[napi]
pub struct Hub {
    shared: Arc<Shared>,
}

#[napi]
impl Hub {
    /// `wake` is called without arguments when events wait; it must then call `drain` until that returns 0.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, wake: Function<'_, (), ()>) -> napi::Result<Self> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(|_| Ok(()))?;
        let shared = Shared::new(move || {
            // Anything but Ok means that the environment is closing: its end hook does the rest.
            let _closing = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        env.add_env_cleanup_hook(shared.clone(), |shared| shared.end())?;
        Ok(Self { shared })
    }

    /// Copies waiting events into `words` (five 32-bit words of this machine for each: object, kind and flags, a, b, length) and their small
    /// payloads one after the other into `bytes`. Returns how many; 0 means that the next event will wake again.
    #[napi(catch_unwind)]
    pub fn drain(&self, mut words: BufferSlice<'_>, mut bytes: BufferSlice<'_>) -> u32 {
        let mut front = lock(&self.shared.front);
        if front.is_empty() {
            front.clear();
            let mut back = lock(&self.shared.back);
            if back.batch.is_empty() {
                back.scheduled = false;
                front.shrink();
                back.batch.shrink();
                return 0;
            }
            std::mem::swap(&mut *front, &mut back.batch);
        }
        front.fill(&mut words, &mut bytes)
    }

    /// Asks for another wake although a drain is not finished, so that timers and other work get their turn.
    #[napi(catch_unwind)]
    pub fn again(&self) {
        self.shared.call();
    }

    /// Copies the next payload that stands beside the batch into `target`, which has its length.
    #[napi(catch_unwind)]
    pub fn take(&self, mut target: BufferSlice<'_>) {
        let payload = lock(&self.shared.front).take_large();
        if let Some(payload) = payload
            && payload.len() == target.len()
        {
            target.copy_from_slice(&payload);
        }
    }

    /// For tests of the promise that a defect of ours costs one object and never the process: whoever emits the next
    /// event of this object panics.
    #[napi(catch_unwind)]
    pub fn panic_at_next_event(&self, id: u32) {
        self.shared.panicking.store(id, Ordering::Relaxed);
    }

    /// Drops the next payload that stands beside the batch.
    #[napi(catch_unwind)]
    pub fn skip(&self) {
        lock(&self.shared.front).take_large();
    }
}

impl Hub {
    /// The environment, for what belongs to several of its objects.
    pub(crate) fn environment(&self) -> Arc<Environment> {
        self.shared.environment.clone()
    }

    /// The way up for the object that `web/hub.ts` registered under `id`.
    pub(crate) fn port(&self, id: u32) -> Arc<Port> {
        self.shared.port(id)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// What an object ends with if its task ends without a word: a panic, which is a defect of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    pub(crate) event: i32,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

/// One object's way up to JavaScript. Shared freely between threads.
pub(crate) struct Port {
    shared: Arc<Shared>,
    id: u32,
    undelivered: AtomicUsize,
    room: Notify,
    on_room: OnceLock<Box<dyn Fn() + Send + Sync>>,
    ended: AtomicBool,
}

impl Port {
    /// The way up for another object of the environment, registered under `id`.
    pub(crate) fn beside(&self, id: u32) -> Arc<Self> {
        self.shared.port(id)
    }

    /// Adds an event to the environment's queue. Never blocks. False when nobody is there to hear it: the environment
    /// has ended, or this object has had its terminal event.
    pub(crate) fn emit(self: &Arc<Self>, event: impl Into<i32>, a: u32, b: u32, payload: Payload<'_>) -> bool {
        self.emit_by(Wake::Now, event, a, b, payload)
    }

    /// Likewise, but JavaScript may wake for it later.
    pub(crate) fn emit_by(
        self: &Arc<Self>,
        wake: Wake,
        event: impl Into<i32>,
        a: u32,
        b: u32,
        payload: Payload<'_>,
    ) -> bool {
        !self.ended.load(Ordering::Acquire) && self.push(wake, event.into(), a, b, payload)
    }

    /// Gathers events that come together, so that the queue is locked and JavaScript woken once for many of them. What
    /// else this object emits would overtake those that are not passed on.
    pub(crate) fn burst(self: &Arc<Self>) -> Burst<'_> {
        Burst {
            port: self,
            events: GATHERED.take(),
            cost: 0,
        }
    }

    /// Adds the one event that ends the object; later ones are dropped.
    pub(crate) fn emit_terminal(self: &Arc<Self>, event: impl Into<i32>, a: u32, b: u32, payload: Payload<'_>) -> bool {
        !self.ended.swap(true, Ordering::AcqRel) && self.push(Wake::Now, event.into(), a, b, payload)
    }

    fn push(self: &Arc<Self>, wake: Wake, event: i32, a: u32, b: u32, payload: Payload<'_>) -> bool {
        self.panic_if_asked();
        let cost = payload.len() + EVENT_COST;
        self.queue(wake, cost, |batch| batch.push(self, (event, a, b), payload, cost))
    }

    /// Adds to the queue with `add`, and wakes JavaScript. False when nobody is there to hear it.
    fn queue(&self, when: Wake, cost: usize, add: impl FnOnce(&mut Batch)) -> bool {
        if self.shared.ended.load(Ordering::Acquire) {
            return false;
        }
        self.undelivered.fetch_add(cost, Ordering::Relaxed);
        let mut back = lock(&self.shared.back);
        add(&mut back.batch);
        match when {
            Wake::Now => self.shared.call_once(back),
            Wake::Soon => {
                let wait = !back.scheduled && !std::mem::replace(&mut back.awaited, true);
                drop(back);
                if wait {
                    let shared = self.shared.clone();
                    runtime::spawn(async move {
                        sleep(SOON).await;
                        shared.call_if_any_waits();
                    });
                }
            }
        }
        true
    }

    /// See [`Hub::panic_at_next_event`].
    fn panic_if_asked(&self) {
        if self.shared.panicking.load(Ordering::Relaxed) == self.id {
            self.shared.panicking.store(0, Ordering::Relaxed);
            panic!("asked for by a test");
        }
    }

    /// Whether the object may add more: see [`BUDGET`].
    pub(crate) fn has_room(&self) -> bool {
        self.undelivered.load(Ordering::Relaxed) < BUDGET
    }

    /// Waits until the object may add more. Cancel safe.
    pub(crate) async fn room(&self) {
        loop {
            let notified = self.room.notified();
            let mut notified = std::pin::pin!(notified);
            notified.as_mut().enable();
            if self.has_room() {
                return;
            }
            notified.await;
        }
    }

    /// For drivers that serve many objects and can't wait for one: `f` is called, on JavaScript's thread, each time
    /// that the object has room again. The first caller's `f` stays.
    pub(crate) fn on_room(&self, f: impl Fn() + Send + Sync + 'static) {
        let _first_stays = self.on_room.set(Box::new(f));
    }

    fn give_back(&self, cost: usize) {
        let before = self.undelivered.fetch_sub(cost, Ordering::Relaxed);
        if before >= BUDGET && before - cost < BUDGET {
            self.room.notify_waiters();
            if let Some(f) = self.on_room.get() {
                f();
            }
        }
    }

    /// Runs the object's task on the shared runtime. It is dropped when the environment ends. When it ends in any way
    /// without the object's terminal event (a panic, that is), `terminal` is emitted.
    pub(crate) fn spawn(self: &Arc<Self>, terminal: Terminal, future: impl Future<Output = ()> + Send + 'static) {
        let guard = Guard {
            port: self.clone(),
            terminal,
        };
        self.shared.environment.spawn(guard, future);
    }

    /// Runs a task that serves many objects, each of which sees to its own terminal event. It is dropped when the
    /// environment ends.
    pub(crate) fn spawn_many(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.shared.environment.spawn((), future);
    }
}

thread_local! {
    /// Memory of a burst, which serves again.
    static GATHERED: Cell<Events> = Cell::default();
}

/// Events of one object that come together. They are passed on at the latest when it is dropped.
pub(crate) struct Burst<'a> {
    port: &'a Arc<Port>,
    events: Events,
    cost: usize,
}

impl Burst<'_> {
    /// Adds an event, as `Port::emit` does.
    pub(crate) fn add(&mut self, event: impl Into<i32>, a: u32, b: u32, payload: Payload<'_>) {
        self.port.panic_if_asked();
        self.cost += payload.len() + EVENT_COST;
        self.events.push(self.port.id, event.into(), a, b, payload);
        if self.cost >= AT_ONCE {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let cost = std::mem::take(&mut self.cost);
        let Self { port, events, .. } = self;
        if events.len() > 0 && !port.ended.load(Ordering::Acquire) {
            port.queue(Wake::Now, cost, |batch| batch.append(port, events, cost));
        }
        // Where nobody is there to hear them.
        events.clear();
    }
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        self.pass_on();
        GATHERED.set(std::mem::take(&mut self.events));
    }
}

/// Lives as long as an object's task.
struct Guard {
    port: Arc<Port>,
    terminal: Terminal,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Terminal { event, a, b } = self.terminal;
        self.port.emit_terminal(event, a, b, Payload::None);
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};

    use super::testing::Ear;
    use super::*;

    fn ear() -> (Ear, mpsc::Receiver<ThreadId>) {
        let (woken, wakes) = mpsc::channel();
        let ear = Ear::answering(move || woken.send(thread::current().id()).expect("the test listens"));
        (ear, wakes)
    }

    #[test]
    fn who_emits_wakes_javascript_unless_that_may_be_later() {
        for (wake, by_us) in [(Wake::Now, true), (Wake::Soon, false)] {
            let (ear, wakes) = ear();
            assert!(ear.port(1).emit_by(wake, 7, 0, 0, Payload::None));
            let by = wakes.recv().expect("somebody wakes it");
            assert_eq!(by == thread::current().id(), by_us, "{wake:?}");
        }
    }

    #[tokio::test]
    async fn what_may_be_later_is_heard_before_what_follows() {
        let (mut ear, _wakes) = ear();
        ear.port(1).emit_by(Wake::Soon, 7, 0, 0, Payload::None);
        ear.port(2).emit(8, 0, 0, Payload::None);
        assert_eq!((ear.next().await.event, ear.next().await.event), (7, 8));
    }
}
