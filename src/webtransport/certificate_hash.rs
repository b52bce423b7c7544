//! `serverCertificateHashes`: trust in one certificate by its hash instead of in an authority.
//! <https://www.w3.org/TR/webtransport/#custom-certificate-requirements>

use std::sync::Arc;

use rustls::CertificateError;
use sha2::{Digest, Sha256};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};
use x509_parser::x509::AlgorithmIdentifier;

use crate::tls::Verifier;

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// The longest that a certificate trusted by its hash may be valid, in seconds: two weeks.
const MAX_VALIDITY: i64 = 14 * 24 * 60 * 60;

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not X.509, or not version 3.
    Malformed,
    /// Its hash is none of those expected.
    UnknownHash,
    /// RSA, or a key that we can't check signatures of.
    ForbiddenKey,
    /// Its validity has not begun.
    NotYetValid,
    /// Its validity is over.
    Expired,
    /// Its whole validity is longer than two weeks.
    ValidForTooLong,
}

/// Checks a certificate (DER) at an instant (seconds since 1970) against the hashes that the application expects.
pub(crate) fn check(certificate: &[u8], expected: &[Hash], now: i64) -> Result<(), Refusal> {
    let hash: Hash = Sha256::digest(certificate).into();
    if !expected.contains(&hash) {
        return Err(Refusal::UnknownHash);
    }
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| Refusal::Malformed)?;
    if !rest.is_empty() || parsed.version() != X509Version::V3 {
        return Err(Refusal::Malformed);
    }
    if !is_allowed_key(&parsed.public_key().algorithm) {
        return Err(Refusal::ForbiddenKey);
    }
    let begin = parsed.validity().not_before.timestamp();
    let end = parsed.validity().not_after.timestamp();
    if now < begin {
        return Err(Refusal::NotYetValid);
    }
    if now > end {
        return Err(Refusal::Expired);
    }
    if end - begin > MAX_VALIDITY {
        return Err(Refusal::ValidForTooLong);
    }
    Ok(())
}

/// The keys whose signatures ring checks, without RSA.
fn is_allowed_key(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    if algorithm.algorithm == OID_SIG_ED25519 {
        return true;
    }
    let curve = algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.as_oid().ok());
    algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve.is_some_and(|curve| curve == OID_EC_P256 || curve == OID_NIST_EC_P384)
}

/// Takes exactly the certificates that [`check`] takes; names and authorities don't count. Of no hash it takes nothing.
pub(crate) fn verifier(expected: Vec<Hash>) -> Arc<Verifier> {
    Verifier::new(move |certificate, now| {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        check(certificate, &expected, now).map_err(|refusal| match refusal {
            Refusal::Malformed => CertificateError::BadEncoding,
            Refusal::NotYetValid => CertificateError::NotValidYet,
            Refusal::Expired => CertificateError::Expired,
            Refusal::UnknownHash | Refusal::ForbiddenKey | Refusal::ValidForTooLong => {
                CertificateError::ApplicationVerificationFailure
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
    use time::OffsetDateTime;

    use super::*;

    const BEGIN: i64 = 1_800_000_000;
    const DAY: i64 = 24 * 60 * 60;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm, seconds: i64) -> Vec<u8> {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).expect("a date");
        let mut params = CertificateParams::new(vec![]).expect("sound");
        params.not_before = at(BEGIN);
        params.not_after = at(BEGIN + seconds);
        let key = KeyPair::generate_for(algorithm).expect("a key");
        params.self_signed(&key).expect("signs").der().to_vec()
    }

    fn hash(bytes: &[u8]) -> Hash {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn the_right_hash_within_two_weeks() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let der = certificate(algorithm, 14 * DAY);
            assert_eq!(check(&der, &[[0; 32], hash(&der)], BEGIN), Ok(()));
            assert_eq!(check(&der, &[hash(&der)], BEGIN + 14 * DAY), Ok(()));
        }
    }

    #[test]
    fn a_wrong_hash() {
        let der = certificate(&PKCS_ECDSA_P256_SHA256, DAY);
        let mut wrong = hash(&der);
        wrong[31] ^= 1;
        assert_eq!(check(&der, &[wrong], BEGIN), Err(Refusal::UnknownHash));
        assert_eq!(check(&der, &[], BEGIN), Err(Refusal::UnknownHash));
    }

    #[test]
    fn times() {
        for (seconds, now, refusal) in [
            (14 * DAY + 1, BEGIN, Refusal::ValidForTooLong),
            (15 * DAY, BEGIN + DAY, Refusal::ValidForTooLong),
            (DAY, BEGIN - 1, Refusal::NotYetValid),
            (DAY, BEGIN + DAY + 1, Refusal::Expired),
        ] {
            let der = certificate(&PKCS_ECDSA_P256_SHA256, seconds);
            assert_eq!(check(&der, &[hash(&der)], now), Err(refusal));
        }
    }

    #[test]
    fn bytes_that_are_no_certificate() {
        let der = certificate(&PKCS_ECDSA_P256_SHA256, DAY);
        for cut in (0..der.len()).step_by(7) {
            let bytes = &der[..cut];
            assert_eq!(check(bytes, &[hash(bytes)], BEGIN), Err(Refusal::Malformed));
        }
        let longer = [&der[..], &[0]].concat();
        assert_eq!(check(&longer, &[hash(&longer)], BEGIN), Err(Refusal::Malformed));
    }

    #[test]
    fn rsa_and_version_1_are_refused() {
        // Both from openssl: `req -x509 -newkey rsa:2048`, and `x509 -req` of a P-256 key without extensions.
        for (pem, refusal) in [
            (&include_bytes!("certificate_hash/rsa.pem")[..], Refusal::ForbiddenKey),
            (include_bytes!("certificate_hash/version1.pem"), Refusal::Malformed),
        ] {
            let (_, pem) = x509_parser::pem::parse_x509_pem(pem).expect("is PEM");
            let der = pem.contents;
            let (_, parsed) = X509Certificate::from_der(&der).expect("parses");
            let now = parsed.validity().not_before.timestamp();
            assert_eq!(check(&der, &[hash(&der)], now), Err(refusal));
        }
    }
}
