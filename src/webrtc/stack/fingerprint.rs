//! Compares a certificate with the fingerprints of a description: <https://www.rfc-editor.org/rfc/rfc8122#section-5>.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// One `a=fingerprint` line of the remote description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// The hash function's name, as it stands in the description.
    pub(crate) algorithm: String,
    /// Pairs of hexadecimal digits separated by colons.
    pub(crate) value: String,
}

/// Whether the certificate (DER) is one that the fingerprints vouch for.
///
/// Only the strongest hash function in the list that we know counts, as RFC 8122 section 5 asks:
/// otherwise a weaker line could let another certificate in. MD5, SHA-1 and SHA-224 never match.
pub(crate) fn matches(certificate: &[u8], fingerprints: &[Fingerprint]) -> bool {
    for (algorithm, digest) in [
        ("sha-512", digest::<Sha512> as fn(&[u8]) -> Vec<u8>),
        ("sha-384", digest::<Sha384>),
        ("sha-256", digest::<Sha256>),
    ] {
        let mut lines = fingerprints
            .iter()
            .filter(|line| line.algorithm.eq_ignore_ascii_case(algorithm))
            .peekable();
        if lines.peek().is_some() {
            let digest = digest(certificate);
            return lines.any(|line| parse(&line.value).is_some_and(|value| value == digest));
        }
    }
    false
}

fn digest<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

fn parse(value: &str) -> Option<Vec<u8>> {
    value
        .split(':')
        .map(|pair| match pair.as_bytes() {
            [high, low] => Some((nibble(*high)? << 4) | nibble(*low)?),
            _ => None,
        })
        .collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(algorithm: &str, bytes: &[u8]) -> Fingerprint {
        let value: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        Fingerprint {
            algorithm: algorithm.into(),
            value: value.join(":"),
        }
    }

    #[test]
    fn strong_hashes_match_and_weak_ones_do_not() {
        let certificate = b"certificate";
        assert!(matches(certificate, &[line("SHA-256", &digest::<Sha256>(certificate))]));
        assert!(matches(certificate, &[line("sha-384", &digest::<Sha384>(certificate))]));
        assert!(matches(certificate, &[line("sha-512", &digest::<Sha512>(certificate))]));
        assert!(!matches(certificate, &[line("sha-1", &[0; 20])]));
        assert!(!matches(certificate, &[]));
        assert!(!matches(certificate, &[line("sha-256", &digest::<Sha256>(b"other"))]));
    }

    #[test]
    fn one_right_line_of_several_is_enough_but_only_of_the_strongest_hash() {
        let certificate = b"certificate";
        let right = line("sha-256", &digest::<Sha256>(certificate));
        let wrong = line("sha-256", &digest::<Sha256>(b"other"));
        assert!(matches(certificate, &[wrong.clone(), right.clone()]));
        let stronger_but_wrong = line("sha-512", &digest::<Sha512>(b"other"));
        assert!(!matches(certificate, &[right, stronger_but_wrong]));
    }

    #[test]
    fn malformed_values_match_nothing() {
        let right = line("sha-256", &digest::<Sha256>(b"certificate"));
        for value in [
            "",
            ":",
            "0",
            "zz",
            "+1:02",
            &right.value[1..],
            &right.value.replace(':', ""),
        ] {
            let line = Fingerprint {
                algorithm: "sha-256".into(),
                value: value.into(),
            };
            assert!(!matches(b"certificate", &[line]), "{value}");
        }
    }
}
