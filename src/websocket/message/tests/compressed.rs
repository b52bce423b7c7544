//! Compressed messages: RFC 7692 section 6, in every split.

use super::*;
use crate::websocket::deflate::{ContextTakeover, Deflater, Progress};

const LIMIT: usize = 1 << 20;

fn reader(role: Role, context_takeover: ContextTakeover) -> MessageReader {
    MessageReader::new(role, LIMIT).with_inflater(Some(Inflater::new(context_takeover)))
}

/// What a client makes of these bytes, whole and in pieces.
fn client(stream: &[u8]) -> Vec<Seen> {
    let whole = messages(&mut reader(Role::Client, ContextTakeover::Allowed), stream, usize::MAX);
    let step = (stream.len() / 100).max(1);
    for size in (1..=stream.len()).step_by(step) {
        let parts = messages(&mut reader(Role::Client, ContextTakeover::Allowed), stream, size);
        assert_eq!(whole, parts, "in chunks of {size}");
    }
    whole
}

/// Like `read`, but with the rest of the input behind a pause in another turn, as a task does it.
fn messages(reader: &mut MessageReader, stream: &[u8], size: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut buffer = Vec::new();
    for chunk in stream.chunks(size) {
        buffer.extend_from_slice(chunk);
        let mut paused = true;
        while std::mem::take(&mut paused) {
            let mut position = 0;
            loop {
                match reader.next(&mut buffer, &mut position) {
                    Ok(Some(Incoming::Pause)) => {
                        paused = true;
                        break;
                    }
                    Ok(Some(incoming)) => seen.extend(Seen::of(incoming)),
                    Ok(None) => break,
                    Err(failure) => {
                        seen.push(Seen::Failed(failure.code));
                        return seen;
                    }
                }
            }
            reader.release();
            buffer.drain(..position);
        }
    }
    seen
}

fn compress(message: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater::new(6, 15, ContextTakeover::RuledOut);
    let mut rest = message;
    assert_eq!(deflater.deflate(&mut rest, usize::MAX), Progress::Complete);
    deflater.compressed().to_vec()
}

#[test]
fn whole_messages_beside_others() {
    let json = r#"{"a":[1,2,3],"é":"κόσμε"}"#.repeat(50);
    let long = "0123456789".repeat(20_000);
    let stream = [
        frame(0xc1, &compress(json.as_bytes())),
        frame(0x81, b"plain"),
        frame(0xc2, &compress(&[7; 1000])),
        frame(0x89, b"ping"),
        frame(0xc1, &compress(b"")),
        frame(0xc2, b""),
        frame(0xc1, &compress(long.as_bytes())),
        frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
    ]
    .concat();
    let expected = vec![
        text(&json),
        text("plain"),
        Seen::Binary(vec![7; 1000]),
        Seen::Ping(b"ping".into()),
        text(""),
        Seen::Binary(vec![]),
        text(&long),
        text("Hello"),
        text("Hello"),
    ];
    assert_eq!(client(&stream), expected);
}

#[test]
fn fragments_with_control_frames_between() {
    // Section 7.2.3.1, and an empty last fragment.
    let stream = [
        frame(0x41, &[0xf2, 0x48, 0xcd]),
        frame(0x89, b""),
        frame(0x80, &[0xc9, 0xc9, 0x07, 0x00]),
        frame(0x42, b""),
        frame(0x00, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9]),
        frame(0x00, b""),
        frame(0x00, &[0x07, 0x00]),
        frame(0x80, b""),
    ]
    .concat();
    let expected = vec![Seen::Ping(vec![]), text("Hello"), Seen::Binary(b"Hello".into())];
    assert_eq!(client(&stream), expected);
}

#[test]
fn masked_ones_survive_every_split() {
    let message = "masked and compressed, ".repeat(9_000);
    let mut stream = Vec::new();
    for _ in 0..2 {
        write_frame(
            &mut stream,
            OpCode::Data(Data::Text),
            Some([1, 2, 3, 250]),
            &compress(message.as_bytes()),
        );
    }
    let half = stream.len() / 2;
    for first in [0, half] {
        stream[first] = 0xc1;
    }
    for size in 1..=stream.len() {
        let mut reader = reader(Role::Server, ContextTakeover::Allowed);
        assert_eq!(messages(&mut reader, &stream, size), [text(&message), text(&message)]);
    }
}

#[test]
fn reserved_bits_where_they_have_no_meaning() {
    let failed = |bytes: Vec<u8>| assert_eq!(client(&bytes).last(), Some(&Seen::Failed(1002)), "{bytes:x?}");
    failed(frame(0xa1, b""));
    failed(frame(0xe1, b""));
    failed(frame(0xd2, b""));
    failed(frame(0xc9, b""));
    failed(frame(0xc8, b""));
    failed(frame(0xc0, b""));
    failed([frame(0x41, &[0xf2]), frame(0x40, &[0x48])].concat());
    failed([frame(0x01, b"a"), frame(0xc0, b"a")].concat());
    // Without the extension.
    let mut plain = MessageReader::new(Role::Client, LIMIT);
    assert_eq!(
        read(&mut plain, &frame(0xc1, &compress(b"a")), usize::MAX),
        [Seen::Failed(1002)]
    );
}

#[test]
fn data_that_cannot_be_inflated() {
    for bytes in [&[0xff_u8; 20][..], &[0x07], &[0x04, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(client(&frame(0xc2, bytes)), [Seen::Failed(1007)], "{bytes:x?}");
    }
    // A reference to the message before, which the peer has ruled out.
    let stream = [
        frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]),
    ]
    .concat();
    for size in 1..=stream.len() {
        let mut reader = reader(Role::Client, ContextTakeover::RuledOut);
        assert_eq!(
            messages(&mut reader, &stream, size),
            [text("Hello"), Seen::Failed(1007)]
        );
    }
}

#[test]
fn text_is_checked_as_it_comes_out() {
    let whole = [b"abc", &[0xff; 3][..]].concat();
    assert_eq!(client(&frame(0xc1, &compress(&whole))), [Seen::Failed(1007)]);
    assert_eq!(client(&frame(0xc1, &compress(&[0xe2, 0x82]))), [Seen::Failed(1007)]);
    assert_eq!(client(&frame(0xc2, &compress(&whole))), [Seen::Binary(whole)]);
    // In a fragment that is not the last: the sooner the better. The stored block holds 0xff.
    let stored = [0x00, 0x01, 0x00, 0xfe, 0xff, 0xff];
    assert_eq!(client(&frame(0x41, &stored)), [Seen::Failed(1007)]);
    // A sequence that is cut where the output's memory ends is whole in the message.
    let cut = ["a".repeat(OUTPUT - 1), "é".repeat(OUTPUT)].concat();
    assert_eq!(client(&frame(0xc1, &compress(cut.as_bytes()))), [text(&cut)]);
}

#[test]
fn the_limit_counts_what_comes_out() {
    let exact = vec![0; LIMIT];
    assert_eq!(client(&frame(0xc2, &compress(&exact))), [Seen::Binary(exact)]);
    assert_eq!(
        client(&frame(0xc2, &compress(&vec![0; LIMIT + 1]))),
        [Seen::Failed(1009)]
    );
    // Also of a message that the output's memory holds.
    let mut small = MessageReader::new(Role::Client, 100).with_inflater(Some(Inflater::new(ContextTakeover::Allowed)));
    let stream = [frame(0xc2, &compress(&[1; 100])), frame(0xc2, &compress(&[1; 101]))].concat();
    assert_eq!(
        messages(&mut small, &stream, usize::MAX),
        [Seen::Binary(vec![1; 100]), Seen::Failed(1009)]
    );
    // What does not shrink is some bytes longer than the message.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(LIMIT)
    .collect();
    let data = compress(&noise);
    assert!(data.len() > LIMIT);
    assert_eq!(client(&frame(0xc2, &data)), [Seen::Binary(noise)]);
    // But its header tells when it is too long.
    let header = [0xc2, 127, 0, 0, 0, 0, 0, 0x20, 0, 0];
    assert_eq!(client(&header), [Seen::Failed(1009)]);
}

/// Inflates until the end or a failure; says how much was inflated at most in one turn.
#[test]
fn a_bomb_fails_at_the_limit_and_in_turns() {
    let bomb = frame(0xc2, &compress(&vec![0; 64 << 20]));
    assert!(bomb.len() < 80_000);
    let mut reader =
        MessageReader::new(Role::Client, 16 << 20).with_inflater(Some(Inflater::new(ContextTakeover::Allowed)));
    let (mut input, mut position, mut pauses) = (bomb, 0, 0);
    loop {
        match reader.next(&mut input, &mut position) {
            Ok(Some(Incoming::Pause)) => pauses += 1,
            Err(failure) => {
                assert_eq!(failure, TOO_BIG);
                break;
            }
            other => panic!("{other:?}"),
        }
        let gathered = reader.assembly.as_ref().map_or(0, |assembly| assembly.data.len());
        assert!(gathered <= 16 << 20);
    }
    // Each turn inflates one piece of 4 KiB: 4 MiB at most.
    assert!((3..=16).contains(&pauses), "{pauses} pauses");
    assert!(position < 20_000, "the rest of the bomb was not touched");
}

#[test]
fn many_small_bombs_pause_as_well() {
    let one = frame(0xc2, &compress(&vec![0; OUTPUT - 1]));
    let stream = one.repeat(100);
    let mut reader = reader(Role::Client, ContextTakeover::Allowed);
    let (mut input, mut position) = (stream, 0);
    let (mut pauses, mut count) = (0, 0);
    while let Some(incoming) = reader.next(&mut input, &mut position).expect("valid") {
        match incoming {
            Incoming::Pause => pauses += 1,
            Incoming::Binary(data) => count += usize::from(data.len() == OUTPUT - 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((count, pauses), (100, 5));
}
