//! Tables of frames: what they become, whole, in bytes and in every split.

use super::assembly::MAX_FRAGMENTS;
use super::*;
use crate::websocket::frame::write_frame;
use crate::websocket::fuzzing::{Seen, read};

fn client(stream: &[u8]) -> Vec<Seen> {
    let whole = read(&mut MessageReader::new(Role::Client, 1 << 20), stream, usize::MAX);
    for size in 1..=stream.len().min(300) {
        let parts = read(&mut MessageReader::new(Role::Client, 1 << 20), stream, size);
        assert_eq!(whole, parts, "in chunks of {size}");
    }
    whole
}

/// A frame without a mask: first byte as given.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    write_frame(&mut output, OpCode::from(first & 15), None, payload);
    output[0] = first;
    output
}

fn text(text: &str) -> Seen {
    Seen::Text(text.into())
}

#[test]
fn whole_messages_in_order() {
    let long = vec![9; 70_000];
    let stream = [
        frame(0x81, b"hello"),
        frame(0x82, &[0, 255]),
        frame(0x81, b""),
        frame(0x82, b""),
        frame(0x82, &[1; 126]),
        frame(0x82, &long),
        frame(0x89, b"ping"),
        frame(0x8a, b""),
        frame(0x81, "κόσμε 🎉".as_bytes()),
        frame(0x88, b"\x03\xe8bye"),
    ]
    .concat();
    let expected = vec![
        text("hello"),
        Seen::Binary(vec![0, 255]),
        text(""),
        Seen::Binary(vec![]),
        Seen::Binary(vec![1; 126]),
        Seen::Binary(long),
        Seen::Ping(b"ping".into()),
        Seen::Pong(vec![]),
        text("κόσμε 🎉"),
        Seen::Close(Some((1000, "bye".into()))),
    ];
    assert_eq!(client(&stream), expected);
}

#[test]
fn fragments_with_control_frames_between() {
    let stream = [
        frame(0x01, b"ab"),
        frame(0x89, b"1"),
        frame(0x00, b""),
        frame(0x00, "é".as_bytes()),
        frame(0x8a, b"2"),
        frame(0x80, b""),
        frame(0x02, b""),
        frame(0x80, b"z"),
    ]
    .concat();
    let expected = vec![
        Seen::Ping(b"1".into()),
        Seen::Pong(b"2".into()),
        text("abé"),
        Seen::Binary(b"z".into()),
    ];
    assert_eq!(client(&stream), expected);
}

#[test]
fn whole_messages_borrow_from_the_input() {
    let mut stream = [frame(0x81, b"one"), frame(0x82, b"two")].concat();
    let mut reader = MessageReader::new(Role::Client, 100);
    let mut position = 0;
    assert_eq!(reader.next(&mut stream, &mut position), Ok(Some(Incoming::Text("one"))));
    assert_eq!(
        reader.next(&mut stream, &mut position),
        Ok(Some(Incoming::Binary(b"two")))
    );
    assert_eq!(reader.next(&mut stream, &mut position), Ok(None));
}

#[test]
fn a_long_message_says_where_it_lies() {
    let payload = vec![b'l'; LONG];
    for (opcode, kind) in [(Data::Text, Kind::Text), (Data::Binary, Kind::Binary)] {
        let mut stream = frame(0x82, b"before");
        write_frame(&mut stream, OpCode::Data(opcode), None, &payload);
        let end = stream.len();
        stream.extend(frame(0x81, b"behind"));
        let mut reader = MessageReader::new(Role::Client, LONG);
        let mut position = 0;
        assert_eq!(
            reader.next(&mut stream, &mut position),
            Ok(Some(Incoming::Binary(b"before")))
        );
        assert_eq!(
            reader.next(&mut stream, &mut position),
            Ok(Some(Incoming::Long(kind, end - LONG..end)))
        );
        assert_eq!((position, &stream[end - LONG..end]), (end, &payload[..]));
    }
    let mut invalid = frame(0x81, &[vec![b'l'; LONG], vec![0xff]].concat());
    assert_eq!(
        MessageReader::new(Role::Client, 2 * LONG).next(&mut invalid, &mut 0),
        Err(NOT_UTF8)
    );
}

#[test]
fn a_masked_message_survives_every_split() {
    let payload: Vec<u8> = (0..150).map(|i| b'a' + i % 26).collect();
    let mut stream = Vec::new();
    write_frame(
        &mut stream,
        OpCode::Data(Data::Text),
        Some([0x81, 2, 0xfe, 4]),
        &payload,
    );
    write_frame(&mut stream, OpCode::Control(Control::Ping), Some([9, 8, 7, 6]), b"p");
    for size in 1..=stream.len() {
        let seen = read(&mut MessageReader::new(Role::Server, 1 << 20), &stream, size);
        assert_eq!(
            seen,
            [
                Seen::Text(String::from_utf8(payload.clone()).expect("ASCII")),
                Seen::Ping(b"p".into())
            ]
        );
    }
}

#[test]
fn the_payload_can_be_read_straight_into_the_message() {
    let payload: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    let mask = [1, 2, 3, 4];
    let mut stream = Vec::new();
    write_frame(&mut stream, OpCode::Data(Data::Binary), Some(mask), &payload);
    let (mut first, rest) = (stream[..1001].to_vec(), &stream[1001..]);
    let mut reader = MessageReader::new(Role::Server, 1 << 20);
    assert!(reader.payload_room().is_none());
    let mut position = 0;
    assert_eq!(reader.next(&mut first, &mut position), Ok(None));
    assert_eq!(position, first.len());
    for chunk in rest.chunks(777) {
        let (buffer, limit) = reader.payload_room().expect("the payload is not complete");
        assert!(chunk.len() <= limit && buffer.capacity() > buffer.len());
        buffer.extend_from_slice(chunk);
        assert_eq!(reader.arrived(chunk.len()), Ok(()));
    }
    assert!(reader.payload_room().is_none());
    position = 0;
    let whole = Incoming::Assembled(Kind::Binary, Bytes::from(payload));
    assert_eq!(reader.next(&mut [], &mut position), Ok(Some(whole)));
    assert_eq!(reader.next(&mut [], &mut position), Ok(None));
}

#[test]
fn broken_frames_fail_with_1002() {
    let cases: &[(&str, Vec<u8>)] = &[
        ("RSV1", frame(0xc1, b"x")),
        ("RSV2", frame(0xa1, b"x")),
        ("RSV3 on a control frame", frame(0x99, b"x")),
        ("opcode 3", vec![0x83, 0]),
        ("opcode 11", vec![0x8b, 0]),
        ("masked by the server", vec![0x81, 0x80, 1, 2, 3, 4]),
        ("fragmented ping", frame(0x09, b"x")),
        ("fragmented close", frame(0x08, b"")),
        ("ping of 126 bytes", frame(0x89, &[0; 126])),
        ("close of 126 bytes", frame(0x88, &[3; 126])),
        ("continuation of nothing", frame(0x80, b"x")),
        ("text within a message", [frame(0x01, b"x"), frame(0x81, b"x")].concat()),
        ("16-bit length of 125", vec![0x82, 126, 0, 125]),
        ("64-bit length of 65,535", vec![0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255]),
        (
            "64-bit length with its highest bit",
            vec![0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0],
        ),
        ("close of 1 byte", frame(0x88, b"\x03")),
    ];
    for (name, stream) in cases {
        assert_eq!(client(stream).last(), Some(&Seen::Failed(1002)), "{name}");
    }
}

#[test]
fn two_bytes_are_enough_to_fail() {
    for (first, second) in [
        (0xc1, 126),
        (0x83, 126),
        (0x80, 126),
        (0x09, 0),
        (0x89, 126),
        (0x89, 127),
        (0x88, 1),
        (0x81, 0xfe),
    ] {
        assert_eq!(client(&[first, second]), [Seen::Failed(1002)], "{first:x} {second:x}");
    }
    for (first, second) in [(0x81, 126), (0x02, 127)] {
        assert_eq!(client(&[first, second]), [], "{first:x} {second:x}");
    }
}

#[test]
fn frames_without_a_mask_fail_at_a_server() {
    let seen = read(
        &mut MessageReader::new(Role::Server, 100),
        &frame(0x81, b"x"),
        usize::MAX,
    );
    assert_eq!(seen, [Seen::Failed(1002)]);
}

#[test]
fn close_codes() {
    for code in (0..=5000).chain([65_535]) {
        let mut payload = u16::to_be_bytes(code).to_vec();
        payload.extend_from_slice(b"why");
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected = if valid {
            Seen::Close(Some((code, "why".into())))
        } else {
            Seen::Failed(1002)
        };
        let seen = read(
            &mut MessageReader::new(Role::Client, 100),
            &frame(0x88, &payload),
            usize::MAX,
        );
        assert_eq!(seen, [expected]);
    }
    assert_eq!(client(&frame(0x88, b"")), [Seen::Close(None)]);
    assert_eq!(client(&frame(0x88, b"\x03\xe8\xff")), [Seen::Failed(1007)]);
}

#[test]
fn a_message_over_the_limit_fails_by_its_header() {
    let reader = || MessageReader::new(Role::Client, 1000);
    assert_eq!(read(&mut reader(), &frame(0x82, &[0; 1000]), usize::MAX).len(), 1);
    assert_eq!(
        read(&mut reader(), &[0x82, 126, 3, 233], usize::MAX),
        [Seen::Failed(1009)]
    );
    let small = |length| {
        read(
            &mut MessageReader::new(Role::Client, 100),
            &frame(0x82, &vec![0; length]),
            usize::MAX,
        )
    };
    assert_eq!(small(100), [Seen::Binary(vec![0; 100])]);
    assert_eq!(small(101), [Seen::Failed(1009)]);
    let huge = [0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255];
    assert_eq!(read(&mut reader(), &huge, usize::MAX), [Seen::Failed(1009)]);
    let fragments = [frame(0x02, &[0; 600]), vec![0x80, 126, 1, 145]].concat();
    assert_eq!(read(&mut reader(), &fragments, usize::MAX), [Seen::Failed(1009)]);
    let last = [frame(0x02, &[0; 600]), frame(0x80, &[0; 400])].concat();
    assert_eq!(read(&mut reader(), &last, usize::MAX), [Seen::Binary(vec![0; 1000])]);
}

#[test]
fn a_message_of_too_many_fragments_fails_with_1008() {
    let mut stream = frame(0x01, b"");
    for _ in 0..MAX_FRAGMENTS {
        stream.extend_from_slice(&[0, 0]);
    }
    assert_eq!(
        read(&mut MessageReader::new(Role::Client, 1000), &stream, 4096),
        [Seen::Failed(1008)]
    );
}

#[test]
fn an_announced_message_reserves_little() {
    let mut reader = MessageReader::new(Role::Client, 1 << 30);
    let mut position = 0;
    let mut announced = [0x82, 127, 0, 0, 0, 0, 0x3f, 0, 0, 0];
    assert_eq!(reader.next(&mut announced, &mut position), Ok(None));
    assert!(reader.payload_room().expect("the payload is awaited").0.capacity() <= 2 * MAX_FIRST_RESERVATION);
}

#[test]
fn utf8_fails_as_early_as_it_can() {
    // Each is wrong at its last byte, although more was announced.
    let cases: &[&[u8]] = &[
        b"abc\xff",
        b"\x80",
        b"\xc0",
        b"\xc1",
        b"\xe0\x80",
        b"\xed\xa0",
        b"\xf0\x80",
        b"\xf4\x90",
        b"\xf5",
        b"\xce\xba\xe1\xbd\xb9\xf4\x90",
        b"\xe2\x82\x41",
    ];
    for wrong in cases {
        let mut stream = vec![0x81, 100];
        stream.extend_from_slice(wrong);
        for size in 1..=stream.len() {
            let seen = read(&mut MessageReader::new(Role::Client, 1000), &stream, size);
            assert_eq!(seen, [Seen::Failed(1007)], "{wrong:x?} in chunks of {size}");
        }
        stream.pop();
        assert_eq!(
            read(&mut MessageReader::new(Role::Client, 1000), &stream, 1),
            [],
            "{wrong:x?} without its end"
        );
        let fragment = frame(0x01, wrong);
        assert_eq!(client(&fragment), [Seen::Failed(1007)], "{wrong:x?} in a fragment");
    }
}

#[test]
fn utf8_may_be_cut_anywhere_but_at_the_end() {
    let all = "aé€🎉z";
    for cut in 0..=all.len() {
        let (head, tail) = all.as_bytes().split_at(cut);
        assert_eq!(client(&[frame(0x01, head), frame(0x80, tail)].concat()), [text(all)]);
        if !all.is_char_boundary(cut) {
            assert_eq!(client(&frame(0x81, head)), [Seen::Failed(1007)]);
            assert_eq!(
                client(&[frame(0x01, head), frame(0x80, b"")].concat()),
                [Seen::Failed(1007)]
            );
        }
    }
}

#[test]
fn random_bytes_never_panic_and_read_the_same_in_pieces() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for _ in 0..20_000 {
        let length = usize::from(random());
        let mut stream: Vec<u8> = (0..length).map(|_| random()).collect();
        // Most random first bytes fail at once: begin with something that goes further.
        if let [first, second, ..] = &mut stream[..] {
            *first &= 0x8f;
            *second &= 0x7f;
        }
        let whole = read(&mut MessageReader::new(Role::Client, 500), &stream, usize::MAX);
        let parts = read(
            &mut MessageReader::new(Role::Client, 500),
            &stream,
            1 + usize::from(random() % 16),
        );
        assert_eq!(whole, parts);
    }
}

mod compressed;
