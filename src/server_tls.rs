//! TLS of servers: certificates by the name that a client asks for (SNI, RFC 6066 section 3), replaced while the server
//! runs, and certificates of clients.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use napi_derive::napi;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme};

use crate::tls::{Fallible, Unparsable, config, default_roots, identity, invalid, provider, roots_of};

/// A certificate chain for one name, and its key; PEM.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct NamedCertificate {
    /// A host name; `*.` at its start stands for one label. Absent: for clients that ask for another name or none.
    pub name: Option<String>,
    /// The chain.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// What a server asks its clients for.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// Authorities that may have issued them, PEM; Node's when absent.
    pub ca: Option<Vec<String>>,
    /// Whether clients without a certificate that can be trusted are refused. Otherwise they are marked.
    pub reject_unauthorized: bool,
}

#[derive(Debug, Default)]
struct Chosen {
    otherwise: Option<Arc<CertifiedKey>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Chosen {
    fn new(certificates: &[NamedCertificate]) -> Fallible<Self> {
        let mut chosen = Self::default();
        for certificate in certificates {
            let Some((chain, key)) = identity(Some(&certificate.cert), Some(&certificate.key))? else {
                return Err(invalid("a server needs a certificate and its key"));
            };
            let key = Arc::new(CertifiedKey::from_der(chain, key, &provider()).map_err(config)?);
            match &certificate.name {
                Some(name) => {
                    chosen.by_name.insert(name.to_ascii_lowercase(), key);
                }
                None => chosen.otherwise = Some(key),
            }
        }
        Ok(chosen)
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            let exact = self.by_name.get(&name);
            exact.or_else(|| self.by_name.get(&wildcard?))
        });
        named.or(self.otherwise.as_ref()).cloned()
    }
}

/// The certificates of a server. Handshakes from now on see what was set last.
#[derive(Debug)]
pub(crate) struct ServerCertificates(RwLock<Chosen>);

impl ServerCertificates {
    /// Checks and keeps them.
    pub(crate) fn new(certificates: &[NamedCertificate]) -> Fallible<Self> {
        Ok(Self(RwLock::new(Chosen::new(certificates)?)))
    }

    /// Replaces all of them; what can't be used changes nothing.
    pub(crate) fn set(&self, certificates: &[NamedCertificate]) -> Fallible<()> {
        let chosen = Chosen::new(certificates)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = chosen;
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        chosen.find(hello.server_name())
    }
}

/// A server's configuration, and whom it asks about certificates of clients.
pub(crate) struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) certificates: Arc<ServerCertificates>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// What TLS says of a client.
pub(crate) struct TlsPeer {
    /// The name that it asked for, or ''.
    pub(crate) servername: String,
    /// `TLSv1.2` or `TLSv1.3`.
    pub(crate) protocol: &'static str,
    /// It has a certificate that can be trusted.
    pub(crate) authorized: bool,
    /// Its certificate, DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl TlsPeer {
    /// As `parseClientTls` of `web/server-tls.ts` reads it: name, version, 1 if the certificate can be trusted, and that in
    /// hexadecimal digits.
    pub(crate) fn fields(&self) -> [String; 4] {
        let hexadecimal = |der: &Vec<u8>| der.iter().map(|byte| format!("{byte:02x}")).collect();
        [
            self.servername.clone(),
            self.protocol.to_owned(),
            if self.authorized { "1" } else { "" }.to_owned(),
            self.certificate.as_ref().map(hexadecimal).unwrap_or_default(),
        ]
    }
}

impl ServerTls {
    /// Checks the options.
    pub(crate) fn new(
        certificates: &[NamedCertificate],
        clients: Option<&ClientCertificates>,
        alpn: &[&[u8]],
    ) -> Fallible<Self> {
        let certificates = Arc::new(ServerCertificates::new(certificates)?);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(config)?;
        let (builder, clients) = match clients {
            None => (builder.with_no_client_auth(), None),
            Some(wanted) => {
                let roots = match &wanted.ca {
                    Some(pem) => Arc::new(roots_of(pem, Unparsable::Refuse)?),
                    None => default_roots(),
                };
                let verifier: Arc<dyn ClientCertVerifier> =
                    WebPkiClientVerifier::builder_with_provider(roots, provider())
                        .build()
                        .map_err(|_| invalid("ca holds no certificate that can issue others"))?;
                let asked = if wanted.reject_unauthorized {
                    verifier.clone()
                } else {
                    Arc::new(Lenient(verifier.clone()))
                };
                (builder.with_client_cert_verifier(asked), Some(verifier))
            }
        };
        let mut config = builder.with_cert_resolver(certificates.clone());
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self {
            config: Arc::new(config),
            certificates,
            clients,
        })
    }

    /// Who is at the other end of a TCP connection, when the handshake is done.
    pub(crate) fn peer(&self, connection: &ServerConnection) -> TlsPeer {
        let protocol = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            // No other one is on.
            Some(_) | None => "TLSv1.2",
        };
        let chain = connection.peer_certificates().unwrap_or_default();
        self.describe(chain, connection.server_name(), protocol)
    }

    /// A client with this chain of certificates that asked for this name.
    pub(crate) fn describe(
        &self,
        chain: &[CertificateDer<'_>],
        servername: Option<&str>,
        protocol: &'static str,
    ) -> TlsPeer {
        let authorized = match (&self.clients, chain.split_first()) {
            (Some(verifier), Some((own, others))) => verifier.verify_client_cert(own, others, UnixTime::now()).is_ok(),
            (None, _) | (_, None) => false,
        };
        TlsPeer {
            servername: servername.unwrap_or_default().to_owned(),
            protocol,
            authorized,
            certificate: chain.first().map(|own| own.to_vec()),
        }
    }
}

/// Takes any certificate of a client, or none; the client must own its key.
#[derive(Debug)]
struct Lenient(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: Option<&str>) -> NamedCertificate {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        NamedCertificate {
            name: name.map(str::to_owned),
            cert: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    #[test]
    fn a_name_is_found_exactly_then_by_its_domain_then_by_default() {
        let chosen = Chosen::new(&[named(None), named(Some("a.Example")), named(Some("*.example"))]).expect("sound");
        let is = |name: Option<&str>, expected: &Arc<CertifiedKey>| {
            assert!(Arc::ptr_eq(&chosen.find(name).expect("found"), expected), "{name:?}");
        };
        let default = chosen.otherwise.as_ref().expect("there");
        is(Some("A.example"), &chosen.by_name["a.example"]);
        is(Some("b.example"), &chosen.by_name["*.example"]);
        is(Some("c.b.example"), default);
        is(Some("localhost"), default);
        is(None, default);
        let only = Chosen::new(&[named(Some("a.example"))]).expect("sound");
        assert!(only.find(Some("b.example")).is_none());
    }

    #[test]
    fn a_certificate_with_another_key_is_refused_and_the_old_one_stays() {
        let certificates = ServerCertificates::new(&[named(None)]).expect("sound");
        let mixed = NamedCertificate {
            key: named(None).key,
            ..named(None)
        };
        assert!(certificates.set(&[mixed]).is_err());
        assert!(certificates.0.read().expect("whole").find(None).is_some());
    }
}
