//! Messages through both ends, and what a peer might send.

use super::*;
use ContextTakeover::{Allowed, RuledOut};

/// A message's data, compressed in steps of `most` bytes.
fn deflate(deflater: &mut Deflater, message: &[u8], most: usize) -> Vec<u8> {
    let mut rest = message;
    while deflater.deflate(&mut rest, most) == Progress::Partly {}
    assert!(rest.is_empty());
    let compressed = deflater.compressed().to_vec();
    deflater.keep();
    compressed
}

/// A message from its data in pieces of `size` bytes, fed as a reader does it.
fn inflate(inflater: &mut Inflater, data: &[u8], size: usize) -> Result<Vec<u8>, Corrupt> {
    let mut message = Vec::new();
    for mut piece in data.chunks(size) {
        loop {
            let out = inflater.inflate(&mut piece)?;
            message.extend_from_slice(out);
            if out.len() < OUTPUT {
                break;
            }
        }
        assert!(piece.is_empty());
    }
    loop {
        let out = inflater.finish()?;
        message.extend_from_slice(out);
        if out.len() < OUTPUT {
            return Ok(message);
        }
    }
}

fn whole(inflater: &mut Inflater, data: &[u8]) -> Result<Vec<u8>, Corrupt> {
    match inflater.whole(data)? {
        Whole::Fits(length) => Ok(inflater.output(length).to_vec()),
        Whole::Longer(read) => {
            let mut message = inflater.output(OUTPUT).to_vec();
            message.extend(inflate(inflater, &data[read..], usize::MAX)?);
            Ok(message)
        }
    }
}

/// Bytes without a pattern.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    })
    .take(length)
    .collect()
}

fn samples() -> Vec<Vec<u8>> {
    let json = br#"{"id":1,"name":"webwire","list":[1,2,3]}"#;
    vec![
        b"Hello".to_vec(),
        b"Hello".to_vec(),
        vec![],
        json.repeat(30),
        json.repeat(30),
        noise(3_000),
        vec![b'a'; OUTPUT - 1],
        vec![b'b'; OUTPUT],
        vec![b'c'; OUTPUT + 1],
        noise(100_000),
        vec![],
        json.repeat(3_000),
    ]
}

#[test]
fn the_examples_of_the_rfc() {
    // 7.2.3.1 to 7.2.3.5.
    let mut inflater = Inflater::new(Allowed);
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(whole(&mut inflater, &first), Ok(b"Hello".to_vec()));
    assert_eq!(
        whole(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
        Ok(b"Hello".to_vec())
    );
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(whole(&mut inflater, &stored), Ok(b"Hello".to_vec()));
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(whole(&mut inflater, &last), Ok(b"Hello".to_vec()));
    let two_blocks = [
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ];
    for size in 1..=two_blocks.len() {
        assert_eq!(inflate(&mut inflater, &two_blocks, size), Ok(b"Hello".to_vec()));
    }
    let mut deflater = Deflater::new(6, 15, Allowed);
    assert_eq!(deflate(&mut deflater, b"Hello", 100), first);
    assert_eq!(deflate(&mut deflater, b"Hello", 100), [0xf2, 0x00, 0x11, 0x00, 0x00]);
}

#[test]
fn an_empty_message_is_one_zero_byte_or_nothing() {
    let mut inflater = Inflater::new(Allowed);
    for data in [&[0][..], &[], &[0x02, 0x00], &[0]] {
        assert_eq!(whole(&mut inflater, data), Ok(vec![]));
        assert_eq!(inflate(&mut inflater, data, 1), Ok(vec![]));
    }
    assert_eq!(deflate(&mut Deflater::new(6, 15, Allowed), b"", 1), [0]);
}

#[test]
fn messages_come_back_at_every_level_window_and_step() {
    for context_takeover in [Allowed, RuledOut] {
        for window_bits in 8..=15 {
            for level in [0, 1, 3, 6, 9] {
                let mut deflater = Deflater::new(level, window_bits, context_takeover);
                let mut inflaters = [(); 3].map(|()| Inflater::new(context_takeover));
                for (number, message) in samples().into_iter().enumerate() {
                    let data = deflate(
                        &mut deflater,
                        &message,
                        if number % 2 == 0 { 1_000 } else { usize::MAX },
                    );
                    assert_eq!(whole(&mut inflaters[0], &data).as_deref(), Ok(&message[..]));
                    assert_eq!(inflate(&mut inflaters[1], &data, 977).as_deref(), Ok(&message[..]));
                    if data.len() < 10_000 {
                        assert_eq!(inflate(&mut inflaters[2], &data, 1).as_deref(), Ok(&message[..]));
                    } else {
                        assert_eq!(inflate(&mut inflaters[2], &data, 4_096).as_deref(), Ok(&message[..]));
                    }
                }
            }
        }
    }
}

#[test]
fn a_window_is_never_referred_beyond() {
    // What repeats only after the window's size can't be compressed.
    for window_bits in 8..=15_u8 {
        let size = 1 << window_bits;
        let block = noise(size + 1);
        let message = [block.as_slice(), &block, &block].concat();
        for level in [1, 2, 6, 9] {
            let data = deflate(&mut Deflater::new(level, window_bits, RuledOut), &message, usize::MAX);
            assert!(data.len() > message.len(), "window of {size}, level {level}");
        }
        if window_bits < 15 {
            let data = deflate(&mut Deflater::new(6, window_bits + 2, RuledOut), &message, usize::MAX);
            assert!(data.len() < size * 2, "the larger window of {size} finds it");
        }
    }
}

#[test]
fn context_takeover_makes_repetition_short() {
    let message = noise(2_000);
    let mut keeping = Deflater::new(6, 15, Allowed);
    deflate(&mut keeping, &message, usize::MAX);
    let second = deflate(&mut keeping, &message, usize::MAX);
    assert!(second.len() < 100);
    let mut forgetting = Deflater::new(6, 15, RuledOut);
    let first = deflate(&mut forgetting, &message, usize::MAX);
    assert_eq!(deflate(&mut forgetting, &message, usize::MAX), first);
}

#[test]
fn a_reference_into_a_window_that_was_ruled_out_is_corrupt() {
    let message = noise(2_000);
    let mut keeping = Deflater::new(6, 15, Allowed);
    let data = [(); 2].map(|()| deflate(&mut keeping, &message, usize::MAX));
    let mut inflater = Inflater::new(RuledOut);
    assert_eq!(whole(&mut inflater, &data[0]).as_deref(), Ok(&message[..]));
    assert_eq!(whole(&mut inflater, &data[1]), Err(Corrupt));
    // Nor into another connection's, though its decompressor is used again.
    let mut other = Inflater::new(Allowed);
    assert_eq!(
        whole(&mut Inflater::new(RuledOut), &data[0]).as_deref(),
        Ok(&message[..])
    );
    assert_eq!(whole(&mut other, &data[1]), Err(Corrupt));
}

#[test]
fn a_message_that_was_not_sent_compressed_is_not_referred_to() {
    let message = noise(2_000);
    let mut deflater = Deflater::new(6, 15, Allowed);
    let mut rest = &message[..];
    assert_eq!(deflater.deflate(&mut rest, usize::MAX), Progress::Complete);
    deflater.forget();
    let data = deflate(&mut deflater, &message, usize::MAX);
    assert_eq!(whole(&mut Inflater::new(Allowed), &data).as_deref(), Ok(&message[..]));
}

#[test]
fn connections_share_few_compressors() {
    let mut connections: Vec<_> = (0..MAX_COMPRESSORS * 2)
        .map(|number| {
            let deflater = Deflater::new(6, 15, if number % 3 == 0 { RuledOut } else { Allowed });
            (deflater, Inflater::new(Allowed), noise(500 + number))
        })
        .collect();
    for turn in 0..4 {
        for (number, (deflater, inflater, message)) in connections.iter_mut().enumerate() {
            for _ in 0..=(turn + number) % 3 {
                let data = deflate(deflater, message, 100);
                assert_eq!(whole(inflater, &data).as_ref(), Ok(&*message));
            }
        }
        assert!(COMPRESSORS.with_borrow(Vec::len) <= MAX_COMPRESSORS);
    }
}

#[test]
fn a_window_that_another_thread_has_moved_on_from_is_not_used() {
    let message = noise(2_000);
    let mut deflater = Deflater::new(6, 15, Allowed);
    let mut inflater = Inflater::new(Allowed);
    let mut turn = |deflater: &mut Deflater, message: &[u8]| {
        let data = deflate(deflater, message, usize::MAX);
        assert_eq!(whole(&mut inflater, &data).as_deref(), Ok(message));
    };
    turn(&mut deflater, &message);
    std::thread::scope(|scope| {
        scope
            .spawn(|| turn(&mut deflater, b"something in between"))
            .join()
            .expect("the other thread's turn");
    });
    turn(&mut deflater, &message);
}

#[test]
fn a_stream_may_end_within_a_message_and_another_follows() {
    let mut inflater = Inflater::new(Allowed);
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let twice = [hello, hello].concat();
    assert_eq!(whole(&mut inflater, &hello), Ok(b"Hello".to_vec()));
    for size in 1..=twice.len() {
        assert_eq!(inflate(&mut inflater, &twice, size), Ok(b"HelloHello".to_vec()));
    }
    // Its window has gone with it.
    assert_eq!(whole(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00]), Err(Corrupt));
}

#[test]
fn what_is_not_deflate_is_corrupt_and_ends() {
    assert_eq!(whole(&mut Inflater::new(Allowed), &[0xff; 10]), Err(Corrupt));
    assert_eq!(whole(&mut Inflater::new(Allowed), &[0x04, 1, 2, 3]), Err(Corrupt));
    let mut corrupt = 0;
    for seed in 0..500 {
        let mut data = noise(1_000 + seed);
        data.drain(..seed);
        let mut inflater = Inflater::new(Allowed);
        let out = whole(&mut inflater, &data);
        let mut again = Inflater::new(Allowed);
        assert_eq!(inflate(&mut again, &data, 7).is_err(), out.is_err());
        corrupt += usize::from(out.is_err());
    }
    assert!(corrupt > 400);
}

#[test]
fn a_bomb_comes_out_in_pieces() {
    let mut deflater = Deflater::new(9, 15, Allowed);
    let data = deflate(&mut deflater, &vec![0; 32 << 20], usize::MAX);
    assert!(data.len() < 40_000);
    let mut inflater = Inflater::new(Allowed);
    let Ok(Whole::Longer(read)) = inflater.whole(&data) else {
        panic!("it is longer");
    };
    assert!(read < 200, "only what fits was inflated");
}
