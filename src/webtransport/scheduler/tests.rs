//! Turns within a group and between groups, and that they are what a look at all senders would say.

use super::*;

const PIECE: u64 = 16 * 1024;

/// Lets whoever's turn it is write pieces, and says who did.
fn turns(scheduler: &mut Scheduler, count: usize) -> Vec<u32> {
    let mut order = Vec::new();
    for _ in 0..count {
        let Some(id) = scheduler.next() else { break };
        scheduler.wrote(id, PIECE);
        order.push(id);
    }
    order
}

fn waiting(scheduler: &mut Scheduler, group: u32, order: i64) -> u32 {
    let id = scheduler.enter(Place { group, order });
    scheduler.wait(id);
    id
}

fn share(turns: &[u32], ids: &[u32]) -> usize {
    turns.iter().filter(|id| ids.contains(id)).count()
}

#[test]
fn nobody_waits() {
    let mut scheduler = Scheduler::default();
    scheduler.enter(Place::default());
    assert_eq!(scheduler.next(), None);
}

#[test]
fn a_higher_order_starves_the_lower_ones_of_its_group() {
    let mut scheduler = Scheduler::default();
    let low = waiting(&mut scheduler, 0, i64::MIN);
    let high = waiting(&mut scheduler, 0, i64::MAX);
    let middle = waiting(&mut scheduler, 0, 0);
    assert_eq!(turns(&mut scheduler, 3), [high; 3]);
    scheduler.rest(high);
    assert_eq!(turns(&mut scheduler, 3), [middle; 3]);
    scheduler.leave(middle);
    assert_eq!(turns(&mut scheduler, 2), [low; 2]);
    scheduler.wait(high);
    assert_eq!(turns(&mut scheduler, 2), [high; 2]);
}

#[test]
fn the_same_order_takes_turns() {
    let mut scheduler = Scheduler::default();
    let ids = [(); 3].map(|()| waiting(&mut scheduler, 0, 7));
    let order = turns(&mut scheduler, 9);
    for id in ids {
        assert_eq!(share(&order, &[id]), 3, "{order:?}");
    }
    assert_eq!(order[..3], order[3..6]);
}

#[test]
fn groups_share_alike_however_many_senders_they_have_and_whatever_their_orders() {
    let mut scheduler = Scheduler::default();
    let many: Vec<_> = (0..9).map(|_| waiting(&mut scheduler, 1, 1000)).collect();
    let one = waiting(&mut scheduler, 2, -1000);
    let null = waiting(&mut scheduler, 0, 0);
    let order = turns(&mut scheduler, 300);
    assert_eq!(
        [share(&order, &many), share(&order, &[one]), share(&order, &[null])],
        [100; 3]
    );
}

#[test]
fn bytes_count_and_not_turns() {
    let mut scheduler = Scheduler::default();
    let large = waiting(&mut scheduler, 1, 0);
    let small = waiting(&mut scheduler, 2, 0);
    let (mut large_bytes, mut small_bytes) = (0, 0);
    for _ in 0..1000 {
        let id = scheduler.next().expect("two wait");
        let (bytes, total) = if id == large {
            (PIECE, &mut large_bytes)
        } else {
            (100, &mut small_bytes)
        };
        scheduler.wrote(id, bytes);
        *total += bytes;
    }
    assert!(scheduler.senders.contains_key(&small));
    assert!(
        u64::abs_diff(large_bytes, small_bytes) <= PIECE,
        "{large_bytes} {small_bytes}"
    );
}

#[test]
fn who_is_blocked_starves_nobody() {
    let mut scheduler = Scheduler::default();
    let low = waiting(&mut scheduler, 0, 1);
    let high = waiting(&mut scheduler, 0, 2);
    scheduler.blocked(high);
    assert_eq!(turns(&mut scheduler, 2), [low; 2]);
    scheduler.blocked(low);
    assert_eq!(scheduler.next(), None);
    scheduler.unblock();
    assert_eq!(scheduler.next(), Some(high));
}

#[test]
fn who_is_hastened_goes_first_once() {
    let mut scheduler = Scheduler::default();
    let [low, high] = [1, 2].map(|order| waiting(&mut scheduler, 0, order));
    let other = waiting(&mut scheduler, 1, 0);
    scheduler.hasten(low);
    scheduler.blocked(low);
    assert_ne!(scheduler.next(), Some(low), "QUIC has no room for it");
    scheduler.unblock();
    assert_eq!(turns(&mut scheduler, 5), [low, other, high, other, high]);
}

#[test]
fn who_overtakes_is_known() {
    let mut scheduler = Scheduler::default();
    let [low, middle, high] = [1, 2, 3].map(|order| waiting(&mut scheduler, 0, order));
    let other = waiting(&mut scheduler, 1, 0);
    assert!(!scheduler.overtakes(low), "nobody is blocked");
    scheduler.blocked(middle);
    let overtakes = [low, middle, high, other].map(|id| scheduler.overtakes(id));
    assert_eq!(overtakes, [true, false, false, false]);
    scheduler.rest(middle);
    assert!(!scheduler.overtakes(low), "who has nothing to send is not overtaken");
    scheduler.leave(low);
    assert!(!scheduler.overtakes(low));
}

#[test]
fn a_group_that_was_silent_does_not_starve_the_others_when_it_speaks() {
    let mut scheduler = Scheduler::default();
    let busy = waiting(&mut scheduler, 1, 0);
    let silent = scheduler.enter(Place { group: 2, order: 0 });
    turns(&mut scheduler, 1000);
    scheduler.wait(silent);
    let order = turns(&mut scheduler, 20);
    let ahead = usize::try_from(CATCH_UP / PIECE).expect("small");
    assert!(share(&order, &[silent]) <= 10 + ahead, "{order:?}");
    assert!(share(&order, &[busy]) >= 10 - ahead, "{order:?}");
}

#[test]
fn a_group_that_was_blocked_does_not_starve_the_others_afterwards() {
    let mut scheduler = Scheduler::default();
    let busy = waiting(&mut scheduler, 1, 0);
    let held = waiting(&mut scheduler, 2, 0);
    turns(&mut scheduler, 10);
    scheduler.blocked(held);
    assert_eq!(turns(&mut scheduler, 1000), vec![busy; 1000]);
    scheduler.unblock();
    let order = turns(&mut scheduler, 20);
    assert!(share(&order, &[busy]) >= 5, "{order:?}");
}

#[test]
fn a_sender_can_move() {
    let mut scheduler = Scheduler::default();
    let one = waiting(&mut scheduler, 0, 1);
    let two = waiting(&mut scheduler, 0, 2);
    scheduler.move_to(one, Place { group: 0, order: 3 });
    assert_eq!(scheduler.next(), Some(one));
    scheduler.move_to(one, Place { group: 5, order: -3 });
    let order = turns(&mut scheduler, 100);
    assert_eq!([share(&order, &[one]), share(&order, &[two])], [50; 2]);
    // Who has gone changes nothing.
    scheduler.leave(one);
    scheduler.wrote(one, PIECE);
    scheduler.move_to(one, Place::default());
    assert_eq!(scheduler.next(), Some(two));
}

#[test]
fn random_histories_keep_the_rules() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut scheduler = Scheduler::default();
    let mut ids = Vec::new();
    for _ in 0..20_000 {
        let at = usize::try_from(random(ids.len() as u64 + 1)).expect("small");
        let place = Place {
            group: u32::try_from(random(3)).expect("small"),
            order: i64::try_from(random(4)).expect("small"),
        };
        match (random(10), ids.get(at).copied()) {
            (0, _) if ids.len() < 12 => ids.push(waiting(&mut scheduler, place.group, place.order)),
            (1, Some(id)) if random(4) == 0 => {
                scheduler.leave(id);
                ids.retain(|other| *other != id);
            }
            (2, Some(id)) => scheduler.blocked(id),
            (3, Some(id)) => scheduler.rest(id),
            (4, Some(id)) => scheduler.wait(id),
            (5, _) => scheduler.unblock(),
            (6, Some(id)) => scheduler.hasten(id),
            (7, Some(id)) => scheduler.move_to(id, place),
            _ => {}
        }
        let by_a_look_at_all = scheduler
            .senders
            .iter()
            .filter(|(_, sender)| sender.state == State::Ready)
            .min_by_key(|(id, sender)| {
                let served = scheduler.served(&scheduler.groups[&sender.place.group]);
                let place = (served, sender.place.group, sender.rank(**id));
                (!sender.hastened, (!sender.hastened).then_some(place), **id)
            })
            .map(|(id, _)| *id);
        assert_eq!(scheduler.next(), by_a_look_at_all);
        if let Some(id) = scheduler.next() {
            scheduler.wrote(id, 1 + random(PIECE));
        }
    }
    for id in ids {
        scheduler.leave(id);
    }
    assert!(scheduler.groups.is_empty() && scheduler.senders.is_empty() && scheduler.hastened.is_empty());
}
