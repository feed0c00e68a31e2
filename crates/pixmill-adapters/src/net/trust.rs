//! Whose certificates are believed: Mozilla's roots, which are built in so that a machine without any of its own will
//! do, and what the operator adds.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Roots of trust.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
}

impl Default for Trust {
    fn default() -> Self {
        Trust::of(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }
}

impl Trust {
    /// Mozilla's roots and the certificates of a PEM file. What else the file holds is passed over, as others do that
    /// read bundles.
    ///
    /// # Errors
    /// A sentence on a file without a certificate, or with one that can't be read.
    pub fn adding(pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let public = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| "it is not PEM".to_owned())?;
            // Bundles of systems hold some that nobody can use any more.
            let _ = roots.add(certificate);
        }
        match roots.len() - public {
            0 => Err("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned()),
            _ => Ok(Trust::of(roots)),
        }
    }

    pub(super) fn of(roots: RootCertStore) -> Self {
        Trust { roots: Arc::new(roots) }
    }

    /// For clients that offer these protocols, most wanted first.
    pub(super) fn client(&self, protocols: &[&str]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_added_to_the_public_ones() {
        let own = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem();
        let public = Trust::default().roots.len();
        assert_eq!(Trust::adding(own.as_bytes()).unwrap().roots.len(), public + 1);
        let bundle = format!("# two of them\n{own}\nbetween\n{own}");
        assert_eq!(Trust::adding(bundle.as_bytes()).unwrap().roots.len(), public + 2);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for pem in ["", "elephant", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(Trust::adding(pem.as_bytes()).is_err(), "{pem}");
        }
    }
}
