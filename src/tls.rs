//! TLS configurations for all three APIs: whom to trust, and who we are. One crypto provider: ring.
//!
//! What Node trusts is trusted; only `ca` and an explicit `rejectUnauthorized: false` change that. Names are checked.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use napi_derive::napi;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, ErrorName};

/// The TLS part of a client's options, checked and brought into this form by `web/tls.ts`.
#[napi(object)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Trusted roots instead of the default ones, PEM.
    pub ca: Option<Vec<String>>,
    /// Our own certificate chain, PEM.
    pub cert: Option<String>,
    /// Its private key, PEM.
    pub key: Option<String>,
    /// The name to ask for and to check, when it is not the URL's host.
    pub servername: Option<String>,
    /// False turns the check of the peer's certificate off.
    pub reject_unauthorized: Option<bool>,
}

pub(crate) type Fallible<T> = Result<T, Error>;

static DEFAULT_ROOTS: RwLock<Option<Arc<RootCertStore>>> = RwLock::new(None);

/// Says what Node trusts: PEM certificates. Called by `web/tls.ts` before the first TLS connection of the process.
#[napi(catch_unwind)]
pub fn set_default_roots(pem: Vec<String>) {
    let roots = Arc::new(roots_of(&pem, Unparsable::Skip).unwrap_or_else(|_| RootCertStore::empty()));
    *DEFAULT_ROOTS.write().unwrap_or_else(PoisonError::into_inner) = Some(roots);
    lock(default_configs()).clear();
}

/// Whether `setDefaultRoots` has been called in this process.
#[napi(catch_unwind)]
pub fn has_default_roots() -> bool {
    DEFAULT_ROOTS.read().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// The crypto provider of the whole crate.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

type Cached = (Vec<Vec<u8>>, Arc<ClientConfig>);

/// Clients without options of their own share a configuration, and with it the memory of TLS sessions.
fn default_configs() -> &'static Mutex<Vec<Cached>> {
    static CONFIGS: Mutex<Vec<Cached>> = Mutex::new(Vec::new());
    &CONFIGS
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's configuration for these options and application protocols (ALPN, in order of preference).
pub(crate) fn client_config(options: &TlsOptions, alpn: &[&[u8]]) -> Fallible<Arc<ClientConfig>> {
    let shared = TlsOptions {
        servername: None,
        ..options.clone()
    } == TlsOptions::default();
    if shared && let Some((_, config)) = lock(default_configs()).iter().find(|(protocols, _)| protocols == alpn) {
        return Ok(config.clone());
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(config)?;
    let builder = if options.reject_unauthorized == Some(false) {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Verifier::new(|_any, _now| Ok(())))
    } else {
        builder.with_root_certificates(match &options.ca {
            Some(pem) => Arc::new(roots_of(pem, Unparsable::Refuse)?),
            None => default_roots(),
        })
    };
    let mut made = match identity(options.cert.as_deref(), options.key.as_deref())? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(config)?,
        None => builder.with_no_client_auth(),
    };
    made.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let made = Arc::new(made);
    if shared {
        lock(default_configs()).push((made.alpn_protocols.clone(), made.clone()));
    }
    Ok(made)
}

pub(crate) fn invalid(message: &'static str) -> Error {
    Error::new(ErrorName::TypeError, message)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(crate) fn config(error: rustls::Error) -> Error {
    Error::new(ErrorName::TypeError, error.to_string())
}

pub(crate) fn default_roots() -> Arc<RootCertStore> {
    let roots = DEFAULT_ROOTS.read().unwrap_or_else(PoisonError::into_inner);
    roots.clone().unwrap_or_else(|| Arc::new(RootCertStore::empty()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unparsable {
    /// A system's store may hold certificates that webpki doesn't take; the others count.
    Skip,
    /// What the application names must be sound.
    Refuse,
}

pub(crate) fn roots_of(pem: &[String], unparsable: Unparsable) -> Fallible<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for text in pem {
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let added = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
            if !added && unparsable == Unparsable::Refuse {
                return Err(invalid("ca holds a certificate that cannot be read"));
            }
        }
    }
    if roots.is_empty() && unparsable == Unparsable::Refuse {
        return Err(invalid("ca holds no PEM certificate"));
    }
    Ok(roots)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads a certificate chain and its key.
pub(crate) fn identity(cert: Option<&str>, key: Option<&str>) -> Fallible<Option<Identity>> {
    let (cert, key) = match (cert, key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return Ok(None),
        (Some(_), None) | (None, Some(_)) => return Err(invalid("cert and key belong together")),
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| invalid("cert is not PEM"))?;
    if chain.is_empty() {
        return Err(invalid("cert holds no PEM certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| invalid("key holds no PEM private key"))?;
    Ok(Some((chain, key)))
}

/// Decides on a server's certificate (the leaf, and when) instead of the authorities; names and chains don't count.
pub(crate) type Decision = dyn Fn(&CertificateDer<'_>, UnixTime) -> Result<(), CertificateError> + Send + Sync;

/// Takes the certificates that a [`Decision`] takes. The peer must still own the certificate's key.
pub(crate) struct Verifier {
    decide: Box<Decision>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// A verifier that asks `decide` alone.
    pub(crate) fn new(
        decide: impl Fn(&CertificateDer<'_>, UnixTime) -> Result<(), CertificateError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            decide: Box::new(decide),
            provider: provider(),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        (self.decide)(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_a_key_is_refused() {
        let options = TlsOptions {
            cert: Some("x".into()),
            ..TlsOptions::default()
        };
        assert_eq!(
            client_config(&options, &[]).expect_err("refused").name,
            ErrorName::TypeError
        );
    }

    #[test]
    fn a_ca_without_certificates_is_refused() {
        let options = TlsOptions {
            ca: Some(vec!["no certificate".into()]),
            ..TlsOptions::default()
        };
        assert_eq!(
            client_config(&options, &[]).expect_err("refused").name,
            ErrorName::TypeError
        );
    }

    #[test]
    fn clients_without_options_share_a_configuration() {
        let one = client_config(&TlsOptions::default(), &[b"http/1.1"]).expect("made");
        let two = client_config(
            &TlsOptions {
                servername: Some("a".into()),
                ..TlsOptions::default()
            },
            &[b"http/1.1"],
        );
        assert!(Arc::ptr_eq(&one, &two.expect("made")));
    }
}
