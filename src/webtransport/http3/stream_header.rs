//! What stands at the front of a stream: RFC 9114, section 6.2, and
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-4.2>.

use super::error_code::ErrorCode;
use super::{Violation, varint};

const CONTROL: u64 = 0x00;
const PUSH: u64 = 0x01;
const QPACK_ENCODER: u64 = 0x02;
const QPACK_DECODER: u64 = 0x03;
const WEBTRANSPORT_UNIDIRECTIONAL: u64 = 0x54;
const WEBTRANSPORT_BIDIRECTIONAL: u64 = 0x41;

/// The most bytes that a header takes: two variable-length integers.
pub(crate) const MAX_LENGTH: usize = 16;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamHeader {
    /// Control frames, SETTINGS first.
    Control,
    /// A server's push, which nobody allowed.
    Push,
    /// Instructions for a dynamic table that we don't keep.
    QpackEncoder,
    /// Acknowledgements of a dynamic table that we don't use.
    QpackDecoder,
    /// A stream of a WebTransport session.
    WebTransport { session_id: u64 },
    /// A request: the bytes read so far are its first frame.
    Request,
    /// A unidirectional stream of an unknown type, GREASE for one.
    Unknown,
}

/// Reads the header of a unidirectional stream and its length; `None` while bytes are missing.
pub(crate) fn decode_unidirectional(bytes: &[u8]) -> Result<Option<(StreamHeader, usize)>, Violation> {
    let Some((kind, length)) = varint::read(bytes) else {
        return Ok(None);
    };
    let header = match kind {
        CONTROL => StreamHeader::Control,
        PUSH => StreamHeader::Push,
        QPACK_ENCODER => StreamHeader::QpackEncoder,
        QPACK_DECODER => StreamHeader::QpackDecoder,
        WEBTRANSPORT_UNIDIRECTIONAL => return session(bytes, length),
        _ => StreamHeader::Unknown,
    };
    Ok(Some((header, length)))
}

/// Reads the header of a bidirectional stream and its length (0 for a request); `None` while bytes are missing.
pub(crate) fn decode_bidirectional(bytes: &[u8]) -> Result<Option<(StreamHeader, usize)>, Violation> {
    match varint::read(bytes) {
        None => Ok(None),
        Some((WEBTRANSPORT_BIDIRECTIONAL, length)) => session(bytes, length),
        Some(_) => Ok(Some((StreamHeader::Request, 0))),
    }
}

fn session(bytes: &[u8], at: usize) -> Result<Option<(StreamHeader, usize)>, Violation> {
    let Some((session_id, length)) = varint::read(&bytes[at..]) else {
        return Ok(None);
    };
    if !is_session_id(session_id) {
        return Err(Violation::connection(
            ErrorCode::H3_ID_ERROR,
            "a session's id is a client's bidirectional stream",
        ));
    }
    Ok(Some((StreamHeader::WebTransport { session_id }, at + length)))
}

/// Whether a stream's number can be a session: client-initiated and bidirectional.
pub(crate) fn is_session_id(id: u64) -> bool {
    id.is_multiple_of(4)
}

/// The header of our control stream.
pub(crate) const OUR_CONTROL: &[u8] = &[CONTROL as u8];

/// The header of a unidirectional stream of a session.
pub(crate) fn encode_unidirectional(session_id: u64) -> Vec<u8> {
    encode(WEBTRANSPORT_UNIDIRECTIONAL, session_id)
}

/// The header of a bidirectional stream of a session.
pub(crate) fn encode_bidirectional(session_id: u64) -> Vec<u8> {
    encode(WEBTRANSPORT_BIDIRECTIONAL, session_id)
}

fn encode(kind: u64, session_id: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_LENGTH);
    varint::write(&mut out, kind);
    varint::write(&mut out, session_id);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_unidirectional_stream() {
        for (bytes, header) in [
            (&[0x00][..], StreamHeader::Control),
            (&[0x01], StreamHeader::Push),
            (&[0x02], StreamHeader::QpackEncoder),
            (&[0x03], StreamHeader::QpackDecoder),
            (&[0x40, 0x54, 0x00], StreamHeader::WebTransport { session_id: 0 }),
            (
                &[0x40, 0x54, 0x41, 0x00],
                StreamHeader::WebTransport { session_id: 256 },
            ),
            (&[0x21], StreamHeader::Unknown),
        ] {
            assert_eq!(decode_unidirectional(bytes), Ok(Some((header, bytes.len()))));
            for cut in 0..bytes.len() {
                assert_eq!(decode_unidirectional(&bytes[..cut]), Ok(None), "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_bidirectional_stream_is_a_sessions_or_a_request() {
        assert_eq!(
            decode_bidirectional(&[0x40, 0x41, 0x04]),
            Ok(Some((StreamHeader::WebTransport { session_id: 4 }, 3)))
        );
        assert_eq!(
            decode_bidirectional(&[0x01, 0x02]),
            Ok(Some((StreamHeader::Request, 0)))
        );
        for cut in [&[][..], &[0x40], &[0x40, 0x41], &[0x40, 0x41, 0x80, 0, 0]] {
            assert_eq!(decode_bidirectional(cut), Ok(None));
        }
    }

    #[test]
    fn a_session_is_a_clients_bidirectional_stream() {
        for id in [1_u8, 2, 3, 5] {
            assert_eq!(
                decode_bidirectional(&[0x40, 0x41, id]).expect_err("wrong").code,
                ErrorCode::H3_ID_ERROR
            );
            assert_eq!(
                decode_unidirectional(&[0x40, 0x54, id]).expect_err("wrong").code,
                ErrorCode::H3_ID_ERROR
            );
        }
    }

    #[test]
    fn round_trip() {
        for id in [0, 4, 252, 16_384, 1 << 40] {
            let bytes = encode_bidirectional(id);
            assert_eq!(
                decode_bidirectional(&bytes),
                Ok(Some((StreamHeader::WebTransport { session_id: id }, bytes.len())))
            );
            let bytes = encode_unidirectional(id);
            assert_eq!(
                decode_unidirectional(&bytes),
                Ok(Some((StreamHeader::WebTransport { session_id: id }, bytes.len())))
            );
        }
    }
}
