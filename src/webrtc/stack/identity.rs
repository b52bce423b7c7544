//! The certificate with which we authenticate: <https://www.rfc-editor.org/rfc/rfc8827#section-6.5>.

use std::sync::Arc;

use rtc::crypto::{RTCCryptoProvider, SignatureScheme};
use rtc::dtls::crypto::Certificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// The certificate and key that authenticate us.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(super) certificate: Certificate,
    pub(super) provider: Arc<dyn RTCCryptoProvider>,
}

/// The certificate or key could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidIdentity;

impl Identity {
    /// Reads a certificate and its PKCS#8 key, both in PEM.
    pub(crate) fn from_pem(certificate: &str, private_key: &str) -> Result<Self, InvalidIdentity> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| InvalidIdentity)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(private_key.as_bytes()).map_err(|_| InvalidIdentity)?;
        let provider = rtc::crypto::default_provider().map_err(|_| InvalidIdentity)?;
        let key = [SignatureScheme::EcdsaP256Sha256, SignatureScheme::RsaPkcs1Sha256]
            .into_iter()
            .find_map(|scheme| {
                provider
                    .crypto()
                    .import_signing_key(scheme, key.secret_pkcs8_der())
                    .ok()
            })
            .ok_or(InvalidIdentity)?;
        Ok(Self {
            certificate: Certificate::from_signing_key(vec![certificate], key),
            provider,
        })
    }
}
