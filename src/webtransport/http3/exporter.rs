//! The TLS exporter's arguments for a session:
//! <https://www.ietf.org/archive/id/draft-ietf-webtrans-http3-14.html#section-4.8>.

/// The label that TLS gets.
pub(crate) const LABEL: &[u8] = b"EXPORTER-WebTransport";

/// The context that TLS gets: the session's number, then the application's label and context. `None` when one of these is longer than 255
/// bytes.
pub(crate) fn context(session_id: u64, label: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let mut out = session_id.to_be_bytes().to_vec();
    for part in [label, context] {
        out.push(u8::try_from(part.len()).ok()?);
        out.extend_from_slice(part);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_come_first() {
        let expected = [0, 0, 0, 0, 0, 0, 1, 4, 2, b'a', b'b', 1, b'c'];
        assert_eq!(context(260, b"ab", b"c").as_deref(), Some(&expected[..]));
        assert_eq!(context(0, b"", b"").as_deref(), Some(&[0; 10][..]));
    }

    #[test]
    fn at_most_255_bytes() {
        assert_eq!(
            context(0, &[1; 255], &[2; 255]).map(|all| all.len()),
            Some(8 + 256 + 256)
        );
        assert_eq!(context(0, &[1; 256], b""), None);
        assert_eq!(context(0, b"", &[1; 256]), None);
    }
}
