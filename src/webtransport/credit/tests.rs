use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

const OURS: Limits = Limits {
    data: 100,
    bidirectional: 2,
    unidirectional: 2,
};

fn credit(theirs: Limits) -> Arc<Credit> {
    Credit::new(OURS, theirs, Arc::default())
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll_bytes(credit: &Credit, stream: u64, wanted: usize, bell: &Arc<Bell>) -> Poll<usize> {
    let waker = Waker::from(bell.clone());
    credit.poll_spend_bytes(stream, wanted, &mut Context::from_waker(&waker))
}

#[test]
fn streams_that_wait_are_woken_when_the_peer_allows_more() {
    let credit = credit(Limits::default());
    let bells: [Arc<Bell>; 2] = Default::default();
    for (stream, bell) in (0..).step_by(4).zip(&bells) {
        assert!(poll_bytes(&credit, stream, 10, bell).is_pending());
        assert!(poll_bytes(&credit, stream, 10, bell).is_pending());
    }
    assert_eq!(credit.say(), Some(Said::Blocked(Unit::Data, 0).into()));
    assert_eq!(credit.say(), None);
    credit.hear(Said::Max(Unit::Data, 3)).expect("sound");
    assert_eq!(bells.each_ref().map(|bell| bell.rung()), [1, 1]);
    assert_eq!(poll_bytes(&credit, 0, 10, &bells[0]), Poll::Ready(3));
    assert!(poll_bytes(&credit, 4, 10, &bells[1]).is_pending());
    // What one does not use is there for the other.
    credit.unspend(Unit::Data, 1);
    assert_eq!(bells.each_ref().map(|bell| bell.rung()), [1, 2]);
    assert_eq!(poll_bytes(&credit, 4, 10, &bells[1]), Poll::Ready(1));
}

#[test]
fn a_stream_that_ends_while_it_waits_leaves_nothing_behind() {
    let credit = credit(Limits::default());
    for stream in 0..1000 {
        assert!(poll_bytes(&credit, stream, 1, &Arc::default()).is_pending());
        credit.leave(stream);
    }
    assert!(credit.state().waiting.iter().all(Vec::is_empty));
}

#[test]
fn no_wake_is_lost_between_threads() {
    const STREAMS: usize = 4;
    const BYTES: usize = 20_000;
    let credit = credit(Limits::default());
    let run = async |credit: &Credit, stream: u64| {
        let mut left = BYTES;
        while left > 0 {
            let spent = poll_fn(|context| credit.poll_spend_bytes(stream, left.min(5), context)).await;
            // Some is given back, as when QUIC takes less.
            let used = spent.div_ceil(2);
            credit.unspend(Unit::Data, spent - used);
            left -= used;
        }
        credit.leave(stream);
    };
    std::thread::scope(|scope| {
        for stream in 0..STREAMS as u64 {
            let credit = &credit;
            scope.spawn(move || crate::runtime::runtime().block_on(run(credit, stream)));
        }
        for limit in (0..=(STREAMS * BYTES) as u64)
            .step_by(7)
            .chain([(STREAMS * BYTES) as u64])
        {
            credit.hear(Said::Max(Unit::Data, limit)).expect("sound");
        }
    });
}

#[tokio::test]
async fn a_stream_that_is_not_opened_after_all_is_given_back() {
    let credit = credit(Limits {
        unidirectional: 1,
        ..Limits::default()
    });
    drop(credit.stream(Direction::Unidirectional).await);
    credit.stream(Direction::Unidirectional).await.used();
    let waiting = credit.stream(Direction::Unidirectional);
    let allowing = async { credit.hear(Said::Max(Unit::Unidirectional, 2)).expect("sound") };
    let (reserved, ()) = tokio::join!(biased; waiting, allowing);
    reserved.used();
}

#[tokio::test]
async fn what_a_peer_sends_beyond_its_limit_is_told_of() {
    let credit = credit(Limits::default());
    let slots = [(); 2].map(|()| credit.opened(Direction::Bidirectional).expect("allowed"));
    let inflow = Inflow::new(&credit, None);
    inflow.arrived(100);
    let told = async {
        assert!(credit.opened(Direction::Bidirectional).is_none());
        inflow.arrived(1);
    };
    let (violation, ()) = tokio::join!(biased; credit.broken(), told);
    assert_eq!(
        violation.code,
        super::super::http3::error_code::ErrorCode::WT_FLOW_CONTROL_ERROR
    );
    drop((slots, inflow));
}

#[test]
fn what_is_read_and_what_ends_is_granted_again() {
    let credit = credit(Limits::default());
    let slot = credit.opened(Direction::Unidirectional).expect("allowed");
    let inflow = Inflow::new(&credit, Some(slot));
    inflow.arrived(60);
    inflow.read(50);
    assert_eq!(credit.say(), Some(Said::Max(Unit::Data, 150).into()));
    inflow.end(Ending::Whole);
    assert_eq!(credit.say(), Some(Said::Max(Unit::Unidirectional, 3).into()));
    // The rest is dropped unread.
    drop(inflow);
    credit.hear(Said::Blocked(Unit::Data, 150)).expect("sound");
    assert_eq!(credit.say(), Some(Said::Max(Unit::Data, 160).into()));
}
