//! Refuses SCTP packets that no honest peer sends and at which the crate would panic, loop or hoard
//! (<https://www.rfc-editor.org/rfc/rfc9260#section-3.3>). What is refused is as good as lost on the way.
//!
//! The crate finds the next chunk by what it made of the one before, not by that one's length. Only chunks of which it
//! makes exactly what they are get past, so that it never reads from inside of a chunk.

const HEADER: usize = 12;
const CHUNK_HEADER: usize = 4;
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;
/// The parameter of RE-CONFIG that asks to reset streams (RFC 6525 section 4.1).
const OUTGOING_RESET: [u8; 2] = [0, 13];
/// Parameters that may be longer than what the crate makes of them.
const RESET_RESPONSE: u16 = 16;
const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
const HMAC_ALGORITHMS: u16 = 0x8004;
/// How far a TSN may be ahead of what we have acknowledged: a gap block cannot say more.
const MAX_AHEAD: u32 = u16::MAX as u32;
/// Requests to reset streams that wait for data; the crate keeps them all.
const MAX_WAITING_RESETS: usize = 1024;

/// What is known of the peer's sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Guard {
    acknowledged: Option<u32>,
    /// The highest TSN of user data.
    highest: u32,
    /// Whether something below it has not come.
    disordered: bool,
    waiting_resets: usize,
    /// The TSN after which none of them waits any more.
    resets_until: u32,
}

impl Guard {
    /// Whether the association may see the packet.
    pub(super) fn admits(&mut self, packet: &[u8]) -> bool {
        let mut rest = packet.get(HEADER..).unwrap_or_default();
        // These are alone in their packets (RFC 9260 section 6.10).
        let is_alone = |kind| matches!(kind, INIT | INIT_ACK | SHUTDOWN_COMPLETE);
        let mut empty = true;
        while !rest.is_empty() {
            let [kind, _, l0, l1, ..] = *rest else { return false };
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            if is_alone(kind) && (!empty || length.next_multiple_of(4) < rest.len()) {
                return false;
            }
            if length < CHUNK_HEADER || length > rest.len() || !self.admits_chunk(kind, &rest[CHUNK_HEADER..length]) {
                return false;
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            empty = false;
        }
        !empty
    }

    fn admits_chunk(&mut self, kind: u8, body: &[u8]) -> bool {
        match kind {
            DATA => tsn(body, 0).is_some_and(|tsn| self.admits_data(tsn)),
            FORWARD_TSN => tsn(body, 0).is_some_and(|tsn| self.ahead(tsn) <= MAX_AHEAD),
            INIT | INIT_ACK => match tsn(body, 12) {
                Some(first) => {
                    if self.acknowledged.is_none() {
                        self.highest = first.wrapping_sub(1);
                        self.acknowledged = Some(self.highest);
                    }
                    body.get(16..).and_then(parameters).is_some()
                }
                None => false,
            },
            SACK => spans_once(body),
            HEARTBEAT | HEARTBEAT_ACK => parameters(body) == Some(1),
            ABORT | ERROR => are_causes(body),
            SHUTDOWN_ACK | COOKIE_ACK | SHUTDOWN_COMPLETE => body.is_empty(),
            RE_CONFIG => parameters(body).is_some_and(|count| matches!(count, 1 | 2)) && self.admits_reset(body),
            _ => true,
        }
    }

    fn admits_data(&mut self, tsn: u32) -> bool {
        let admitted = self.ahead(tsn) <= MAX_AHEAD;
        if admitted && is_after(tsn, self.highest) {
            self.disordered |= tsn != self.highest.wrapping_add(1);
            self.highest = tsn;
        }
        admitted
    }

    /// Whether each packet has to be acknowledged: the peer counts how often something is reported missing before it
    /// sends that again (RFC 9260 section 7.2.4).
    pub(super) fn is_disordered(&self) -> bool {
        self.disordered
    }

    fn admits_reset(&mut self, body: &[u8]) -> bool {
        if body.get(..2) != Some(&OUTGOING_RESET) {
            return true;
        }
        let Some(last) = tsn(body, 12) else { return false };
        match self.ahead(last) {
            0 => true,
            ahead if ahead > MAX_AHEAD => false,
            _ => {
                if self.ahead(self.resets_until) == 0 {
                    self.waiting_resets = 0;
                    self.resets_until = last;
                } else if is_after(last, self.resets_until) {
                    self.resets_until = last;
                }
                self.waiting_resets += 1;
                self.waiting_resets <= MAX_WAITING_RESETS
            }
        }
    }

    /// How far a TSN is ahead of the acknowledged ones; 0 for those.
    fn ahead(&self, tsn: u32) -> u32 {
        match self.acknowledged {
            Some(acknowledged) if is_after(tsn, acknowledged) => tsn.wrapping_sub(acknowledged),
            Some(_) | None => 0,
        }
    }

    /// Takes note of a packet of ours.
    pub(super) fn sent(&mut self, packet: &[u8]) {
        if packet.get(HEADER) == Some(&SACK)
            && let Some(acknowledged) = tsn(packet, HEADER + CHUNK_HEADER)
        {
            self.acknowledged = Some(acknowledged);
            self.disordered &= acknowledged != self.highest;
        }
    }
}

/// Serial number arithmetic: <https://www.rfc-editor.org/rfc/rfc9260#section-1.6>.
fn is_after(tsn: u32, other: u32) -> bool {
    (tsn.wrapping_sub(other) as i32) > 0
}

fn tsn(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Whether a list of causes is one to the crate as well, which steps from one to the next without the padding.
fn are_causes(body: &[u8]) -> bool {
    let mut causes = body;
    while let [_, _, l0, l1, ..] = *causes {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < 4 || length > causes.len() {
            return false;
        }
        causes = &causes[length..];
    }
    (body.len() - causes.len()).next_multiple_of(4) == body.len().next_multiple_of(4)
}

/// How many parameters a list has; `None` if they are not whole, or longer than what is made of them.
fn parameters(mut list: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !list.is_empty() {
        let [t0, t1, l0, l1, ..] = *list else { return None };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let exact = match u16::from_be_bytes([t0, t1]) {
            FORWARD_TSN_SUPPORTED => length == 4,
            RESET_RESPONSE => length == 12,
            HMAC_ALGORITHMS => length.is_multiple_of(2),
            _ => true,
        };
        if length < 4 || length > list.len() || !exact {
            return None;
        }
        list = list.get(length.next_multiple_of(4)..).unwrap_or_default();
        count += 1;
    }
    Some(count)
}

/// Whether a SACK has the blocks that it counts, and its gap blocks do not cover the same TSNs again and again.
fn spans_once(body: &[u8]) -> bool {
    let [_, _, _, _, _, _, _, _, b0, b1, d0, d1, blocks @ ..] = body else {
        return false;
    };
    let count = usize::from(u16::from_be_bytes([*b0, *b1]));
    let duplicates = usize::from(u16::from_be_bytes([*d0, *d1]));
    if blocks.len() != 4 * (count + duplicates) {
        return false;
    }
    let mut covered = 0_u32;
    for block in blocks.chunks_exact(4).take(count) {
        let (start, end) = (
            u16::from_be_bytes([block[0], block[1]]),
            u16::from_be_bytes([block[2], block[3]]),
        );
        covered += u32::from(end.saturating_sub(start)) + 1;
        if covered > u32::from(u16::MAX) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER];
        packet.extend([kind, 0]);
        packet.extend(((CHUNK_HEADER + body.len()) as u16).to_be_bytes());
        packet.extend(body);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet
    }

    fn begun(first: u32) -> Guard {
        let mut guard = Guard::default();
        let mut init = vec![0; 12];
        init.extend(first.to_be_bytes());
        assert!(guard.admits(&packet(INIT, &init)));
        guard
    }

    fn reset(last: u32) -> Vec<u8> {
        let mut body = vec![0, 13, 0, 18, 0, 0, 0, 1, 0, 0, 0, 0];
        body.extend(last.to_be_bytes());
        body.extend([0, 1]);
        packet(RE_CONFIG, &body)
    }

    #[test]
    fn sequence_numbers_far_ahead_are_refused() {
        for first in [1_u32, 1000, u32::MAX - 10] {
            let mut guard = begun(first);
            for kind in [DATA, FORWARD_TSN] {
                let at = |tsn: u32| {
                    let mut body = tsn.to_be_bytes().to_vec();
                    body.resize(12, 0);
                    packet(kind, &body)
                };
                assert!(guard.admits(&at(first)));
                assert!(guard.admits(&at(first.wrapping_sub(1))), "a repeated one");
                assert!(guard.admits(&at(first.wrapping_add(65_000))));
                assert!(!guard.admits(&at(first.wrapping_add(70_000))));
                assert!(!guard.admits(&at(first.wrapping_add(i32::MAX as u32 - 1))));
            }
            let mut sack = first.wrapping_add(60_000).to_be_bytes().to_vec();
            sack.resize(12, 0);
            guard.sent(&packet(SACK, &sack));
            assert!(guard.admits(&reset(first.wrapping_add(70_000))));
        }
    }

    #[test]
    fn resets_that_wait_are_counted() {
        let mut guard = begun(1);
        for _ in 0..MAX_WAITING_RESETS {
            assert!(guard.admits(&reset(50)));
        }
        assert!(!guard.admits(&reset(50)));
        let mut sack = 50_u32.to_be_bytes().to_vec();
        sack.resize(12, 0);
        guard.sent(&packet(SACK, &sack));
        assert!(guard.admits(&reset(50)), "nothing to wait for");
        assert!(guard.admits(&reset(60)), "a new count");
    }

    #[test]
    fn malformed_lists_and_lengths_are_refused() {
        let mut guard = begun(1);
        assert!(!guard.admits(&[0; HEADER]));
        assert!(!guard.admits(&[0; 5]));
        assert!(!guard.admits(&packet(ABORT, &[0, 12, 0, 200])));
        assert!(!guard.admits(&packet(ERROR, &[0, 12, 0, 3])));
        assert!(guard.admits(&packet(ABORT, &[0, 12, 0, 5, b'x'])));
        // Whole with padding between the causes, and not as the crate walks them.
        assert!(!guard.admits(&packet(ERROR, &[0, 12, 0, 5, b'x', 0, 0xff, 0xff, 0, 12, 0, 4])));
        assert!(guard.admits(&packet(ABORT, &[])));
        assert!(
            !guard.admits(&packet(ERROR, &[0, 12, 0, 8, 0, 0, 0, 0, 0, 0])),
            "more than its causes"
        );
        assert!(!guard.admits(&packet(COOKIE_ACK, &[ERROR, 0, 0, 8, 0, 12, 0, 200])));
        assert!(!guard.admits(&packet(HEARTBEAT, &[0, 1, 0, 4, 0, 1, 0, 4])));
        assert!(guard.admits(&packet(HEARTBEAT, &[0, 1, 0, 5, 7])));
        assert!(!guard.admits(&packet(RE_CONFIG, &[0, 16, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])));
        assert!(!guard.admits(&packet(SACK, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])));
        let mut init = vec![0; 16];
        assert!(guard.admits(&packet(INIT, &init)));
        let two = [packet(INIT, &init), packet(COOKIE_ACK, &[])[HEADER..].to_vec()].concat();
        assert!(!guard.admits(&two), "bundled");
        init.extend([0xc0, 0, 0, 5, 0]);
        assert!(!guard.admits(&packet(INIT, &init)));
        let mut long = packet(SACK, &[0; 12]);
        long[HEADER + 3] = 200;
        assert!(!guard.admits(&long));
    }

    #[test]
    fn overlapping_gap_blocks_are_refused() {
        let mut guard = begun(1);
        let mut body = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0];
        body.extend([0, 2, 0x80, 0]);
        body.extend([0x80, 2, 0xFF, 0]);
        assert!(guard.admits(&packet(SACK, &body)));
        body[12..].copy_from_slice(&[0, 2, 0xFF, 0, 0, 2, 0xFF, 0]);
        assert!(!guard.admits(&packet(SACK, &body)));
    }
}
