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
    for round in 0..10_000 {
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

/// Fragments of a message without end, from the first TSN that `b` expects of `a`.
fn fragment(first: &Bytes, ahead: u32) -> Bytes {
    const TSN: std::ops::Range<usize> = 16..20;
    let mut packet = BytesMut::from(&first[..]);
    let tsn = u32::from_be_bytes(packet[TSN].try_into().expect("four bytes"));
    packet[TSN].copy_from_slice(&tsn.wrapping_add(ahead).to_be_bytes());
    // Neither the beginning (but for the first) nor the end.
    packet[13] = if ahead == 0 { 2 } else { 0 };
    packet::with_ports(&packet, (5000, 5000))
}

/// Takes packets, and says whether a channel failed.
fn take(pair: &mut Pair, packets: impl Iterator<Item = Bytes>) -> bool {
    let now = pair.now;
    let mut failed = false;
    for packet in packets {
        pair.b.stack.handle_packet(now, packet);
        while pair.b.stack.poll_transmit(now).is_some() {}
        while let Some(event) = pair.b.stack.poll_event(now) {
            failed |= matches!(event, StackEvent::ChannelClosed { .. });
        }
        failed |= pair.b.stack.channels.fails(1);
    }
    failed
}

#[test]
fn a_message_without_end_fails_its_channel_and_a_repeated_fragment_does_not() {
    let mut tap = Tap::new();
    let large = tap
        .packets
        .iter()
        .max_by_key(|packet| packet.len())
        .expect("packets")
        .clone();
    assert!(!take(&mut tap.pair, (0..2000).map(|round| fragment(&large, round % 5))));
    assert!(take(&mut tap.pair, (0..2000).map(|round| fragment(&large, round))));
}
