//! Frames on their way out, and masking: [RFC 6455 section 5](https://www.rfc-editor.org/rfc/rfc6455#section-5).

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

/// The longest payload of a control frame, in bytes.
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;
/// The longest frame header, in bytes.
pub(crate) const MAX_HEADER: usize = 14;

/// Which end of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// We mask what we send and refuse masked frames.
    Client,
    /// We refuse frames without a mask.
    Server,
}

/// XORs `data` with `mask`, the first byte of `data` with the first of `mask`.
pub(crate) fn apply_mask(data: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Blocks of a fixed size become vector instructions.
    let (blocks, rest) = data.as_chunks_mut::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    for (index, byte) in rest.iter_mut().enumerate() {
        *byte ^= mask[index & 3];
    }
}

/// The mask for what follows after `length` bytes were masked with `mask`.
pub(crate) fn advance_mask(mask: [u8; 4], length: usize) -> [u8; 4] {
    let mut next = mask;
    next.rotate_left(length & 3);
    next
}

/// Random masks, drawn from the system in blocks because a system call for each frame would cost more than the frame.
pub(crate) struct Masks {
    block: [u8; 1024],
    used: usize,
    fill: fn(&mut [u8]),
}

impl Masks {
    /// Masks made of what `fill` writes: unpredictable bytes, as RFC 6455 section 5.3 asks.
    pub(crate) fn new(fill: fn(&mut [u8])) -> Self {
        Self {
            block: [0; 1024],
            used: 1024,
            fill,
        }
    }

    /// A mask that was not used before.
    pub(crate) fn next(&mut self) -> [u8; 4] {
        if self.used == self.block.len() {
            (self.fill)(&mut self.block);
            self.used = 0;
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.block[self.used..self.used + 4]);
        self.used += 4;
        mask
    }
}

/// Appends one whole, final frame to `output`, masked with `mask` if there is one.
pub(crate) fn write_frame(output: &mut Vec<u8>, opcode: OpCode, mask: Option<[u8; 4]>, payload: &[u8]) {
    let header = FrameHeader {
        opcode,
        mask,
        ..FrameHeader::default()
    };
    write(output, &header, payload);
}

/// Appends a whole message in one frame, its payload compressed (RFC 7692 section 6.1).
pub(crate) fn write_compressed(output: &mut Vec<u8>, opcode: OpCode, mask: Option<[u8; 4]>, payload: &[u8]) {
    let header = FrameHeader {
        opcode,
        mask,
        rsv1: true,
        ..FrameHeader::default()
    };
    write(output, &header, payload);
}

fn write(output: &mut Vec<u8>, header: &FrameHeader, payload: &[u8]) {
    output.reserve(MAX_HEADER + payload.len());
    header
        .format(payload.len() as u64, output)
        .expect("writing to a Vec does not fail");
    let start = output.len();
    output.extend_from_slice(payload);
    if let Some(mask) = header.mask {
        apply_mask(&mut output[start..], mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data};

    #[test]
    fn masking_equals_the_definition_at_every_length_and_offset() {
        let mask = [0x12, 0x34, 0xab, 0xff];
        for length in 0..200 {
            let plain: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let expected: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
            let mut whole = plain.clone();
            apply_mask(&mut whole, mask);
            assert_eq!(whole, expected);
            let mut parts = plain.clone();
            let cut = length / 3;
            apply_mask(&mut parts[..cut], mask);
            apply_mask(&mut parts[cut..], advance_mask(mask, cut));
            assert_eq!(parts, expected);
        }
    }

    #[test]
    fn frames_have_the_shortest_length_and_the_mask() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![7; length];
            let mut output = Vec::new();
            write_frame(&mut output, OpCode::Data(Data::Binary), None, &payload);
            assert_eq!(output.len(), header + length);
            assert_eq!(output[0], 0x82);
            assert_eq!(output[1] & 0x80, 0);
            output.clear();
            write_frame(
                &mut output,
                OpCode::Control(Control::Ping),
                Some([1, 2, 3, 4]),
                &payload,
            );
            assert_eq!(output.len(), header + 4 + length);
            assert_eq!(output[0], 0x89);
            assert_eq!(output[1] & 0x80, 0x80);
        }
    }

    #[test]
    fn masks_come_from_the_source_in_blocks() {
        let mut masks = Masks::new(|block| {
            for (index, byte) in block.iter_mut().enumerate() {
                *byte = (index / 4) as u8;
            }
        });
        for round in 0..600 {
            assert_eq!(masks.next(), [(round % 256) as u8; 4]);
        }
    }
}
