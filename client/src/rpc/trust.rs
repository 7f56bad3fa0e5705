//! How the node's certificate is judged.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::config::{Pin, Trust};
use crate::error::OpenError;

/// The judge of certificates, and what is to be kept after a first meeting.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    first_use: Option<Arc<FirstUse>>,
}

impl Judge {
    pub(super) fn new(
        trust: &Trust,
        addr: SocketAddr,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, OpenError> {
        let pinned = |known| Pinned { known, provider: Arc::clone(provider) };
        let verifier: Arc<dyn ServerCertVerifier> = match trust {
            Trust::Fingerprint(sha256) => Arc::new(pinned(Known::Pin(Pin::new(*sha256)))),
            Trust::Pin(pin) => Arc::new(pinned(Known::Pin(pin.clone()))),
            Trust::CaFile(path) => chain(from_file(path)?, provider)?,
            Trust::SystemRoots => chain(from_system()?, provider)?,
            Trust::FirstUse(path) => {
                let first_use = Arc::new(FirstUse::open(path, addr)?);
                let verifier = Arc::new(pinned(Known::FirstUse(Arc::clone(&first_use))));
                return Ok(Self { verifier, first_use: Some(first_use) });
            }
        };
        Ok(Self { verifier, first_use: None })
    }

    /// To be told of each connection whose handshake is complete: only then has the node proved
    /// the key of its certificate.
    pub(super) fn met(&self, connection: &quinn::Connection) -> Result<(), String> {
        let Some(first_use) = &self.first_use else {
            return Ok(());
        };
        let chain = connection.peer_identity().and_then(|identity| {
            identity.downcast::<Vec<CertificateDer<'static>>>().ok()?.first().cloned()
        });
        let certificate = chain.ok_or_else(|| "the node has shown no certificate".to_owned())?;
        first_use.keep(fingerprint(&certificate))
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn chain(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, OpenError> {
    let roots = Arc::new(roots);
    let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    Ok(built.map_err(|error| OpenError::Trust(error.to_string()))?)
}

fn from_file(path: &Path) -> Result<RootCertStore, OpenError> {
    let bad = |detail: String| OpenError::Certificate { path: path.to_owned(), detail };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore, OpenError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What rustls cannot use, as old certificates of the system may be, trusts nobody.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map_or("it has none".to_owned(), ToString::to_string);
    Err(OpenError::Trust(format!("no root certificates of the system: {why}")))
}

/// The certificate that the first complete handshake has shown, in a file from then on.
#[derive(Debug)]
struct FirstUse {
    path: PathBuf,
    pin: RwLock<Option<[u8; 32]>>,
}

impl FirstUse {
    fn open(path: &Path, addr: SocketAddr) -> Result<Self, OpenError> {
        if !addr.ip().is_loopback() {
            return Err(OpenError::Trust(format!(
                "the first certificate is believed on loopback only, and {addr} is elsewhere"
            )));
        }
        let pin = match fs::read_to_string(path) {
            Ok(text) => {
                let mut pin = [0; 32];
                let bad = |_| OpenError::Certificate {
                    path: path.to_owned(),
                    detail: "not a fingerprint of 64 hexadecimal digits".to_owned(),
                };
                hex::decode_to_slice(text.trim(), &mut pin).map_err(bad)?;
                Some(pin)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(OpenError::Io { path: path.to_owned(), source }),
        };
        Ok(Self { path: path.to_owned(), pin: RwLock::new(pin) })
    }

    fn known(&self) -> Option<[u8; 32]> {
        *self.pin.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins the first one; fails on another.
    fn keep(&self, met: [u8; 32]) -> Result<(), String> {
        let mut pin = self.pin.write().unwrap_or_else(PoisonError::into_inner);
        match *pin {
            Some(known) if known == met => Ok(()),
            Some(known) => Err(self.mismatch(&known, &met)),
            None => {
                write_new(&self.path, &met)
                    .map_err(|error| format!("{}: {error}", self.path.display()))?;
                tracing::info!(fingerprint = hex::encode(met), "pinned the node's certificate");
                *pin = Some(met);
                Ok(())
            }
        }
    }

    fn mismatch(&self, known: &[u8; 32], met: &[u8; 32]) -> String {
        let path = self.path.display();
        let (known, met) = (hex::encode(known), hex::encode(met));
        format!(
            "the node shows the certificate {met}, and {path} pins {known}; if it was replaced on \
             purpose, remove that file"
        )
    }
}

/// Durable and whole, or not there.
fn write_new(path: &Path, pin: &[u8; 32]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let partial = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial)?;
    writeln!(file, "{}", hex::encode(pin))?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

/// Which certificates a [`Pinned`] verifier accepts.
#[derive(Debug)]
enum Known {
    Pin(Pin),
    FirstUse(Arc<FirstUse>),
}

/// Accepts exactly one certificate, by its SHA-256, whatever its name.
#[derive(Debug)]
struct Pinned {
    known: Known,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let met = fingerprint(end_entity);
        let refusal = match &self.known {
            Known::Pin(pin) if pin.get() == met => return Ok(ServerCertVerified::assertion()),
            Known::Pin(pin) => format!(
                "the node shows the certificate {}, and {} is expected",
                hex::encode(met),
                hex::encode(pin.get())
            ),
            Known::FirstUse(first_use) => match first_use.known() {
                Some(known) if known != met => first_use.mismatch(&known, &met),
                _ => return Ok(ServerCertVerified::assertion()),
            },
        };
        tracing::warn!(refusal, "the node is not the expected one");
        Err(Error::General(refusal))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_is_kept_and_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.pin");
        let loopback = "127.0.0.1:7000".parse().unwrap();
        let first = FirstUse::open(&path, loopback).unwrap();
        assert_eq!(first.known(), None);
        first.keep([1; 32]).unwrap();
        let again = FirstUse::open(&path, loopback).unwrap();
        assert_eq!(again.known(), Some([1; 32]));
        let refusal = again.keep([2; 32]).unwrap_err();
        assert!(refusal.contains(&"02".repeat(32)) && refusal.contains("node.pin"), "{refusal}");
        assert_eq!(FirstUse::open(&path, loopback).unwrap().known(), Some([1; 32]));
    }

    #[test]
    fn first_use_is_for_loopback_and_a_damaged_pin_is_no_first_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.pin");
        let elsewhere = FirstUse::open(&path, "192.0.2.1:7000".parse().unwrap()).unwrap_err();
        assert!(elsewhere.to_string().contains("loopback"), "{elsewhere}");
        fs::write(&path, "half a pi").unwrap();
        let damaged = FirstUse::open(&path, "[::1]:7000".parse().unwrap()).unwrap_err();
        assert!(damaged.to_string().contains("node.pin"), "{damaged}");
    }
}
