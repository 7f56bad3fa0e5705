//! Replaces the certificate while the node serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Certificate, TlsError};
use crate::config::CertificateFiles;

/// The certificate that new handshakes show.
#[derive(Debug)]
pub(super) struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    pub(super) fn new(key: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(key)))
    }

    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Reads a running node's certificate files again. Clones are handles to the same node.
#[derive(Debug, Clone)]
pub struct CertificateReload {
    current: Arc<Current>,
    given: Option<CertificateFiles>,
    data_dir: PathBuf,
    listen: SocketAddr,
}

impl CertificateReload {
    pub(crate) fn new(
        certificate: &Certificate,
        given: Option<CertificateFiles>,
        data_dir: PathBuf,
        listen: SocketAddr,
    ) -> Self {
        Self { current: Arc::clone(&certificate.current), given, data_dir, listen }
    }

    /// Shows the certificate that the files hold now to all new connections; those that are open
    /// go on. Answers its SHA-256. On an error the former one stays.
    ///
    /// # Errors
    /// When a file cannot be read, is not PEM, or certificate and key do not belong together.
    pub fn reload(&self) -> Result<[u8; 32], TlsError> {
        let read = Certificate::load(self.given.as_ref(), &self.data_dir, self.listen)?;
        let fingerprint = read.fingerprint();
        self.current.set(read.certified()?);
        Ok(fingerprint)
    }
}
