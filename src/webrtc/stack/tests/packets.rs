//! An authenticated peer that sends SCTP of its own making.

use super::super::packet;
use super::*;

/// A pair whose association is connected; `packets` are SCTP packets that `a` sends to `b`.
struct Tap {
    pair: Pair,
    packets: Vec<Bytes>,
}

impl Tap {
    fn new() -> Self {
        let mut pair = connected(Box::new(|_| false));
        let mut packets = Vec::new();
        pair.open(true, 3, labelled("two"));
        for n in 0..20 {
            pair.a
                .stack
                .send(1, MessageKind::Binary, Bytes::from(vec![n; 100 * usize::from(n)]));
            pair.a.stack.send(3, MessageKind::Text, Bytes::from_static(b"text"));
        }
        pair.a.stack.close_channel(3);
        let now = pair.now;
        let stack = &mut pair.a.stack;
        let sctp = stack.sctp.as_mut().expect("it is connected");
        stack.channels.flush(now, sctp.association().expect("it is connected"));
        sctp.transmit(now, |packet| packets.push(packet));
        Self { pair, packets }
    }
}

#[test]
fn damaged_packets_end_at_most_the_association() {
    let mut next = random(3);
    let mut tap = Tap::new();
    let mut panics = 0;
    for round in 0..40000 {
        if round % 100 == 0 {
            tap = Tap::new();
        }
        let now = tap.pair.now;
        let choice = (next() % tap.packets.len() as u64) as usize;
        let mut damaged = BytesMut::from(&tap.packets[choice][..]);
        for _ in 0..=next() % 3 {
            let at = 12 + (next() % (damaged.len() - 12) as u64) as usize;
            damaged[at] = [next() as u8, 0, 255, 1][(next() % 4) as usize];
        }
        if next().is_multiple_of(5) {
            damaged.truncate(12 + (next() % 40) as usize);
        }
        if next().is_multiple_of(3) && damaged.len() > 16 {
            damaged[12] = [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 14, 64, 130, 132, 192, 193][(next() % 16) as usize];
        }
        let packet = packet::with_ports(&damaged, (5000, 5000));
        let stack = &mut tap.pair.b.stack;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            stack.handle_packet(now, packet);
            while stack.poll_event(now).is_some() {}
            while stack.poll_transmit(now).is_some() {}
        }));
        if outcome.is_err() {
            // The crate's own; the driver ends that connection only.
            panics += 1;
            tap = Tap::new();
        }
    }
    assert_eq!(panics, 0, "panics");
}
