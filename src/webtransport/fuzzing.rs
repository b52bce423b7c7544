//! What the fuzz targets of `fuzz/` do with a peer's bytes. Their corpora are replayed as tests.

use bytes::{Bytes, BytesMut};

use super::certificate_hash;
use super::http3::capsule::{Capsule, CapsuleDecoder};
use super::http3::connect::ConnectResponse;
use super::http3::frame::{Carrier, Frame, FrameDecoder};
use super::http3::request::{Request, check_trailers};
use super::http3::settings::Settings;
use super::http3::{Violation, qpack, stream_header, structured_field};

/// A SETTINGS payload.
pub fn settings(data: &[u8]) {
    if let Ok(settings) = Settings::decode(data) {
        // Half a setting more is always a mistake, however the others are.
        let cut = [data, &[0x40]].concat();
        assert!(Settings::decode(&cut).is_err());
        let _either = settings.server_supports_webtransport();
    }
}

/// Frames of a control stream or a request's: the first byte chooses which, the second the size of the pieces.
pub fn frame(data: &[u8]) {
    let [carrier, size, stream @ ..] = data else {
        return;
    };
    let carrier = if carrier & 1 == 0 {
        Carrier::Control
    } else {
        Carrier::Request
    };
    let whole = frames(carrier, stream, usize::MAX);
    assert_eq!(whole, frames(carrier, stream, 1 + usize::from(*size)));
}

/// DATA arrives in pieces of any size: they are joined to compare.
fn frames(carrier: Carrier, stream: &[u8], size: usize) -> (Vec<Frame>, Option<Violation>, bool) {
    let mut decoder = FrameDecoder::new(carrier);
    let mut seen: Vec<Frame> = Vec::new();
    for chunk in stream.chunks(size) {
        let mut input = Bytes::copy_from_slice(chunk);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(Frame::Data(piece))) => match seen.last_mut() {
                    Some(Frame::Data(before)) => {
                        let mut joined = BytesMut::from(&before[..]);
                        joined.extend_from_slice(&piece);
                        *before = joined.freeze();
                    }
                    Some(Frame::Headers(_) | Frame::Settings(_) | Frame::Goaway(_)) | None => {
                        seen.push(Frame::Data(piece));
                    }
                },
                Ok(Some(frame)) => seen.push(frame),
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation), false),
            }
        }
    }
    let between = decoder.is_between_frames();
    (seen, None, between)
}

/// A compressed field section, as a request's, a response's and by itself: no more is made of it than the limit.
pub fn qpack(data: &[u8]) {
    if let Ok(fields) = qpack::decode(data) {
        let size: usize = fields.iter().map(super::http3::Field::size).sum();
        assert!(size <= qpack::MAX_FIELD_SECTION_SIZE);
        assert_eq!(qpack::decode(&qpack::encode(&fields)), Ok(fields));
    }
    let _either = Request::decode(data).is_ok();
    let _either = check_trailers(data).is_ok();
    let _either = ConnectResponse::decode(data).is_ok();
}

/// The front of a stream of either kind: what is decided early stays decided when more comes.
pub fn stream_preamble(data: &[u8]) {
    for decode in [
        stream_header::decode_unidirectional,
        stream_header::decode_bidirectional,
    ] {
        let whole = decode(data);
        for length in 0..data.len().min(20) {
            match decode(&data[..length]) {
                Ok(None) => {}
                early @ (Ok(Some(_)) | Err(_)) => assert_eq!(early, whole),
            }
        }
    }
}

/// Capsules: the first byte is the size of the pieces.
pub fn capsule(data: &[u8]) {
    let [size, stream @ ..] = data else {
        return;
    };
    assert_eq!(capsules(stream, usize::MAX), capsules(stream, 1 + usize::from(*size)));
}

fn capsules(stream: &[u8], size: usize) -> (Vec<Capsule>, Option<Violation>) {
    let mut decoder = CapsuleDecoder::default();
    let mut seen = Vec::new();
    for chunk in stream.chunks(size) {
        let mut input = Bytes::copy_from_slice(chunk);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(capsule)) => {
                    if let Capsule::CloseSession { reason, .. } = &capsule {
                        // Each of at most 1024 bytes may have become a character of three.
                        assert!(reason.len() <= 3 * 1024);
                    }
                    seen.push(capsule);
                }
                Ok(None) => break,
                Err(violation) => return (seen, Some(violation)),
            }
        }
    }
    (seen, None)
}

/// The fields of protocol negotiation: what is read of one is written and read as the same.
pub fn structured_field(data: &[u8]) {
    use structured_field::{parse_list, parse_string, serialize_list, serialize_string};

    if let Some(items) = parse_list(data) {
        assert_eq!(parse_list(serialize_list(&items).as_bytes()), Some(items));
    }
    if let Some(item) = parse_string(data) {
        assert_eq!(parse_string(serialize_string(&item).as_bytes()), Some(item.clone()));
        assert_eq!(parse_list(data), Some(vec![item]));
    }
}

/// A certificate whose hash the application expects: it is refused or taken, at any time.
pub fn certificate_hash(data: &[u8]) {
    use sha2::{Digest, Sha256};

    let hash: certificate_hash::Hash = Sha256::digest(data).into();
    for now in [0, 1_700_000_000, i64::MAX] {
        let _either = certificate_hash::check(data, &[hash], now).is_ok();
    }
    assert!(certificate_hash::check(data, &[[0; 32]], 0).is_err());
}

#[cfg(test)]
mod tests {
    use crate::corpus::replay;

    #[test]
    fn settings() {
        replay("webtransport_settings", super::settings);
    }

    #[test]
    fn frame() {
        replay("webtransport_frame", super::frame);
    }

    #[test]
    fn qpack() {
        replay("webtransport_qpack", super::qpack);
    }

    #[test]
    fn stream_preamble() {
        replay("webtransport_stream_preamble", super::stream_preamble);
    }

    #[test]
    fn capsule() {
        replay("webtransport_capsule", super::capsule);
    }

    #[test]
    fn structured_field() {
        replay("webtransport_structured_field", super::structured_field);
    }

    #[test]
    fn certificate_hash() {
        replay("webtransport_certificate_hash", super::certificate_hash);
    }
}
