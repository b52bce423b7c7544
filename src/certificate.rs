//! Self-signed certificates (WebRTC's, and those behind `serverCertificateHashes`) and their fingerprints.

use napi_derive::napi;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::error::{Error, ErrorName, Result};

/// A fresh self-signed certificate with its key.
#[napi(object)]
pub struct GeneratedCertificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key (PKCS #8), PEM.
    pub key: String,
    /// SHA-256 of the certificate's DER: upper-case hexadecimal pairs with colons, as in an SDP.
    pub sha256: String,
}

/// Makes an ECDSA P-256 certificate, self-signed with SHA-256. `names` are DNS names and IP addresses it is for;
/// the times are milliseconds since 1970.
#[napi(catch_unwind)]
pub fn generate_certificate(
    common_name: String,
    names: Vec<String>,
    not_before_ms: f64,
    not_after_ms: f64,
) -> Result<GeneratedCertificate> {
    Ok(generate(&common_name, names, not_before_ms, not_after_ms)?)
}

fn generate(
    common_name: &str,
    names: Vec<String>,
    not_before_ms: f64,
    not_after_ms: f64,
) -> std::result::Result<GeneratedCertificate, Error> {
    let failed = |error: rcgen::Error| Error::new(ErrorName::OperationError, error.to_string());
    let mut params = CertificateParams::new(names).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    params.not_before = instant(not_before_ms)?;
    params.not_after = instant(not_after_ms)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let sha256 = sha256_fingerprint(certificate.der());
    Ok(GeneratedCertificate {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        sha256,
    })
}

fn instant(ms: f64) -> std::result::Result<OffsetDateTime, Error> {
    // Nanoseconds of any date that X.509 can say fit; out of range saturates and is refused below.
    #[allow(clippy::cast_possible_truncation, reason = "whole milliseconds; the cast saturates")]
    let ms = ms as i128;
    OffsetDateTime::from_unix_timestamp_nanos(ms.saturating_mul(1_000_000))
        .map_err(|_| Error::new(ErrorName::TypeError, "a certificate cannot carry this date"))
}

/// SHA-256 of a certificate's DER as upper-case hexadecimal pairs with colons between.
fn sha256_fingerprint(der: &[u8]) -> String {
    pairs(&Sha256::digest(der))
}

fn pairs(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_certificate_has_the_names_and_times_asked_for() {
        let made = generate("webwire", vec!["localhost".into(), "127.0.0.1".into()], 1e12, 1.1e12).expect("generates");
        let (_, pem) = x509_parser::pem::parse_x509_pem(made.certificate.as_bytes()).expect("is PEM");
        let certificate = pem.parse_x509().expect("is X.509");
        assert_eq!(certificate.validity().not_before.timestamp(), 1_000_000_000);
        assert_eq!(certificate.validity().not_after.timestamp(), 1_100_000_000);
        let names = certificate
            .subject_alternative_name()
            .expect("parses")
            .expect("is there");
        assert_eq!(names.value.general_names.len(), 2);
        assert_eq!(made.sha256, sha256_fingerprint(&pem.contents));
        assert_eq!(made.sha256.len(), 32 * 3 - 1);
    }

    #[test]
    fn impossible_dates_are_refused() {
        assert!(generate("x", Vec::new(), f64::INFINITY, f64::INFINITY).is_err());
        assert!(generate("x", Vec::new(), 0.0, 1e300).is_err());
    }
}
