//! Tokens of HTTP: methods, names of fields, subprotocols, extensions
//! ([RFC 9110 section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2)).

/// Whether `text` is a token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a token may have this byte.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'0'..=b'9'
            | b'A'..=b'Z'
            | b'a'..=b'z'
            | b'!'
            | b'#'..=b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'..=b'`'
            | b'|'
            | b'~'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_and_fifteen_others() {
        let others: String = (0..=127_u8)
            .filter(|&byte| is_token_byte(byte) && !byte.is_ascii_alphanumeric())
            .map(char::from)
            .collect();
        assert_eq!(others, "!#$%&'*+-.^_`|~");
        assert!((b'0'..=b'z').filter(u8::is_ascii_alphanumeric).all(is_token_byte));
        assert!(!(128..=255).any(is_token_byte));
    }

    #[test]
    fn a_token_has_one_byte_at_least_and_no_other() {
        assert!(is_token("permessage-deflate"));
        for text in ["", "a b", "a\u{e9}", "a,"] {
            assert!(!is_token(text), "{text:?}");
        }
    }
}
