//! TLS for a door: 1.3 only, no early data, post-quantum key exchange preferred.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate and its key as PEM files.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The chain, the gateway's own certificate first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {detail}")]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub detail: String,
}

/// Reads a running gateway's certificate files again. Clones are handles to the same gateway.
#[derive(Debug, Clone)]
pub struct CertificateReload {
    files: CertificateFiles,
    current: Arc<Current>,
}

impl CertificateReload {
    /// Reads the files for the first time.
    pub(crate) fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(read(&files)?))));
        Ok(Self { files, current })
    }

    /// Shows the certificate that the files hold now to all new connections; open ones go on. On
    /// an error the former one stays.
    ///
    /// # Errors
    /// When a file cannot be read, is not PEM, or certificate and key do not belong together.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let key = Arc::new(read(&self.files)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// What connections are opened with.
    pub(crate) fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable(&self.files.chain, &error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as _);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        tls.max_early_data_size = 0;
        // A ticket would outlive the certificate it was given under.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        Ok(Arc::new(tls))
    }
}

/// The certificate that new handshakes show.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(files: &CertificateFiles) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.chain, &error))?;
    if chain.is_empty() {
        return Err(unusable(&files.chain, &"no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            unusable(&files.key, &"the private key is of another certificate")
        }
        error => unusable(&files.chain, &error),
    })
}

/// With X25519MLKEM768 first. Given explicitly: no default of the process is relied on.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn unusable(path: &Path, detail: &dyn std::fmt::Display) -> CertificateError {
    CertificateError { path: path.to_owned(), detail: detail.to_string() }
}
