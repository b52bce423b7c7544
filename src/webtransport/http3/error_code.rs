//! Error codes of HTTP/3 and how WebTransport's 32-bit codes travel in them:
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-4.4>.

/// An application error code as QUIC carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorCode(pub(crate) u64);

impl ErrorCode {
    pub(crate) const H3_DATAGRAM_ERROR: Self = Self(0x33);
    pub(crate) const H3_NO_ERROR: Self = Self(0x100);
    pub(crate) const H3_INTERNAL_ERROR: Self = Self(0x102);
    pub(crate) const H3_STREAM_CREATION_ERROR: Self = Self(0x103);
    pub(crate) const H3_CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    pub(crate) const H3_FRAME_UNEXPECTED: Self = Self(0x105);
    pub(crate) const H3_FRAME_ERROR: Self = Self(0x106);
    pub(crate) const H3_EXCESSIVE_LOAD: Self = Self(0x107);
    pub(crate) const H3_ID_ERROR: Self = Self(0x108);
    pub(crate) const H3_SETTINGS_ERROR: Self = Self(0x109);
    pub(crate) const H3_MISSING_SETTINGS: Self = Self(0x10a);
    pub(crate) const H3_REQUEST_REJECTED: Self = Self(0x10b);
    pub(crate) const H3_REQUEST_CANCELLED: Self = Self(0x10c);
    pub(crate) const H3_REQUEST_INCOMPLETE: Self = Self(0x10d);
    pub(crate) const H3_MESSAGE_ERROR: Self = Self(0x10e);
    pub(crate) const QPACK_DECOMPRESSION_FAILED: Self = Self(0x200);
    /// A stream came for a session that nobody waited for.
    pub(crate) const WT_BUFFERED_STREAM_REJECTED: Self = Self(0x3994_bd84);
    /// A session's flow control was not kept.
    pub(crate) const WT_FLOW_CONTROL_ERROR: Self = Self(0x045d_4487);
    /// A stream's session has ended.
    pub(crate) const WT_SESSION_GONE: Self = Self(0x170d_7b68);
}

/// Where the WebTransport application's codes begin.
const FIRST: u64 = 0x52e4_a40f_a8db;
/// Where they end.
const LAST: u64 = 0x52e5_ac98_3162;
/// One code in so many is reserved for GREASE: 0x1f × N + 0x21.
const GREASE_PERIOD: u64 = 0x1f;

/// The HTTP/3 code that carries an application's code.
pub(crate) fn webtransport_code_to_http_code(code: u32) -> ErrorCode {
    let code = u64::from(code);
    ErrorCode(FIRST + code + code / (GREASE_PERIOD - 1))
}

/// The application's code in an HTTP/3 code; `None` when it is HTTP's own or reserved.
pub(crate) fn http_code_to_webtransport_code(code: u64) -> Option<u32> {
    if !(FIRST..=LAST).contains(&code) || (code - 0x21).is_multiple_of(GREASE_PERIOD) {
        return None;
    }
    let shifted = code - FIRST;
    u32::try_from(shifted - shifted / GREASE_PERIOD).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_covered_exactly() {
        for (code, http) in [
            (0, FIRST),
            (0x1d, FIRST + 0x1d),
            (0x1e, FIRST + 0x1f),
            (0xff, 0x52e4_a40f_a9e2),
            (u32::MAX, LAST),
        ] {
            assert_eq!(webtransport_code_to_http_code(code), ErrorCode(http));
            assert_eq!(http_code_to_webtransport_code(http), Some(code));
        }
    }

    #[test]
    fn round_trip() {
        for code in (0..100_000).chain((0..u32::MAX).step_by(1_000_003)) {
            assert_eq!(
                http_code_to_webtransport_code(webtransport_code_to_http_code(code).0),
                Some(code)
            );
        }
    }

    #[test]
    fn http_codes_and_grease_are_not_the_applications() {
        for code in [0, 0x100, 0x10c, FIRST - 1, FIRST + 0x1e, LAST + 1, (1 << 62) - 1] {
            assert_eq!(http_code_to_webtransport_code(code), None, "{code:#x}");
        }
    }
}
