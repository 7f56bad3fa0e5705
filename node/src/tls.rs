//! The certificate, and what TLS and QUIC are allowed to do.

mod reload;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use quicproquo_schemas::limits::ALPN;
use quicproquo_transport::{LOOPBACK_PAYLOAD, enlarge_datagrams};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout, TransportConfig, VarInt,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use crate::config::{CertificateFiles, TransportLimits};
pub use reload::CertificateReload;
use reload::Current;

/// Bytes kept of a connection that is not yet accepted: a `ClientHello` has two or three packets.
const INCOMING_BYTES: u64 = 64 * 1024;
/// The same of all of them together.
const ALL_INCOMING_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of the connection ids that this end chooses.
const CONNECTION_ID_LEN: usize = 8;

/// Names of the self-signed certificate and its key in the data directory.
pub(crate) const CHAIN: &str = "certificate.pem";
pub(crate) const KEY: &str = "certificate.key.pem";
/// Says that the data directory has had a self-signed certificate.
pub(crate) const MADE: &str = "certificate.created";

/// The certificate is absent or unusable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A public address without a certificate.
    #[error("{0} is not a loopback address: give a certificate")]
    CertificateRequired(SocketAddr),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {detail}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The self-signed certificate that was made, or its key, is gone.
    #[error(
        "{path} is missing, and clients that have pinned the node would refuse a new one: restore \
         it, or remove {made} to have a new certificate made, and tell them its fingerprint"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The file that says that a certificate was made.
        made: PathBuf,
    },
    /// Certificate and key do not make a TLS configuration.
    #[error("TLS: {0}")]
    Config(String),
}

/// A loaded certificate with its key, and where it lies.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) path: PathBuf,
    der: CertificateDer<'static>,
    /// The certificates above the node's own.
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    current: Arc<Current>,
}

impl Certificate {
    /// Loads the given files, or, on loopback, the self-signed certificate of the data directory,
    /// which is made at the first start.
    pub(crate) fn load(
        given: Option<&CertificateFiles>,
        data_dir: &Path,
        listen: SocketAddr,
    ) -> Result<Self, TlsError> {
        let files = match given {
            Some(files) => files.clone(),
            None if listen.ip().is_loopback() => self_signed(data_dir)?,
            None => return Err(TlsError::CertificateRequired(listen)),
        };
        let unusable =
            |path: &Path, detail: String| TlsError::Unusable { path: path.to_owned(), detail };
        let mut chain = CertificateDer::pem_file_iter(&files.chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unusable(&files.chain, error.to_string()))?
            .into_iter();
        let der =
            chain.next().ok_or_else(|| unusable(&files.chain, "no certificate in it".into()))?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| unusable(&files.key, error.to_string()))?;
        Self::new(files.chain, der, chain.collect(), key)
    }

    /// A certificate of loopback that is kept nowhere.
    pub(crate) fn ephemeral() -> Result<Self, TlsError> {
        let made = make_certificate()?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .map_err(|error| TlsError::Config(error.to_owned()))?;
        Self::new(PathBuf::new(), made.cert.der().clone(), Vec::new(), key)
    }

    fn new(
        path: PathBuf,
        der: CertificateDer<'static>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let certified = certified(&path, &der, &chain, &key)?;
        Ok(Self { path, der, chain, key, current: Arc::new(Current::new(certified)) })
    }

    fn certified(&self) -> Result<CertifiedKey, TlsError> {
        certified(&self.path, &self.der, &self.chain, &self.key)
    }

    /// The node's own certificate.
    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// SHA-256 of the DER of the node's own certificate.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// TLS 1.3 only, no early data, post-quantum key exchange preferred.
    pub(crate) fn server_config(
        &self,
        limits: &TransportLimits,
    ) -> Result<quinn::ServerConfig, TlsError> {
        let config = |error: &dyn std::fmt::Display| TlsError::Config(error.to_string());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| config(&error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as _);
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.max_early_data_size = 0;
        let quic = QuicServerConfig::try_from(tls).map_err(|error| config(&error))?;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(quic));
        server.transport_config(Arc::new(transport(limits)));
        server
            .max_incoming(1024)
            .incoming_buffer_size(INCOMING_BYTES)
            .incoming_buffer_size_total(ALL_INCOMING_BYTES);
        Ok(server)
    }

    /// Stateless resets (RFC 9000 section 10.3) are made from the private key, so that a node that
    /// was killed can, once it is back, tell its former clients at once that their connections are
    /// gone. With a key of each start's own they would wait for their idle timeout.
    pub(crate) fn endpoint_config(&self) -> EndpointConfig {
        let digest = Sha256::new()
            .chain_update(b"quicproquo-stateless-reset-v1")
            .chain_update(self.key.secret_der())
            .finalize();
        let reset = hmac::Key::new(hmac::HMAC_SHA256, &digest);
        let mut config = EndpointConfig::new(Arc::new(reset));
        // The ids of the start before must not look foreign.
        config.cid_generator(|| Box::new(RandomIds));
        // Only what is less than 1,200 bytes is refused.
        let _ = config.max_udp_payload_size(LOOPBACK_PAYLOAD);
        config
    }
}

/// The same configuration for connections from this machine.
pub(crate) fn for_loopback(
    config: &quinn::ServerConfig,
    limits: &TransportLimits,
) -> quinn::ServerConfig {
    let mut transport = transport(limits);
    enlarge_datagrams(&mut transport);
    let mut config = config.clone();
    config.transport_config(Arc::new(transport));
    config
}

/// Certificate and key for handshakes; fails when they do not belong together.
fn certified(
    path: &Path,
    der: &CertificateDer<'static>,
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsError> {
    let chain = [std::slice::from_ref(der), chain].concat();
    CertifiedKey::from_der(chain, key.clone_key(), &provider()).map_err(|error| {
        let detail = match error {
            rustls::Error::InconsistentKeys(_) => {
                "the private key is of another certificate".into()
            }
            error => error.to_string(),
        };
        TlsError::Unusable { path: path.to_owned(), detail }
    })
}

/// Connection ids without structure: quinn's default takes those of another start for noise and
/// answers nothing.
#[derive(Debug)]
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_LEN];
        getrandom::fill(&mut id).expect("the system gives randomness");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// With X25519MLKEM768 first. Given explicitly: no default of the process is relied on.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Few streams, since quinn reserves memory for each one that is allowed.
pub(crate) fn transport(limits: &TransportLimits) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = u32::try_from(limits.idle.as_millis()).unwrap_or(u32::MAX);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(limits.receive_window_before_auth))
        .stream_receive_window(VarInt::from_u32(limits.stream_window))
        .send_window(limits.send_window_before_auth.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
        .keep_alive_interval(Some(limits.keep_alive));
    transport
}

/// The self-signed certificate for loopback in a directory, made at the first time.
///
/// # Errors
/// When it cannot be read or written, or was made and is gone.
pub fn self_signed(data_dir: &Path) -> Result<CertificateFiles, TlsError> {
    let files = CertificateFiles { chain: data_dir.join(CHAIN), key: data_dir.join(KEY) };
    let marker = data_dir.join(MADE);
    let missing = [&files.chain, &files.key].into_iter().find(|path| !path.exists());
    match missing {
        Some(path) if marker.exists() => {
            return Err(TlsError::Missing { path: path.clone(), made: marker });
        }
        Some(_) => {
            let made = make_certificate()?;
            write_new(&files.key, made.signing_key.serialize_pem().as_bytes(), 0o600)?;
            write_new(&files.chain, made.cert.pem().as_bytes(), 0o644)?;
        }
        None => {}
    }
    if !marker.exists() {
        // Last: what a crash left half done may be made again, since nobody has seen it.
        write_new(&marker, b"", 0o600)?;
    }
    Ok(files)
}

fn make_certificate() -> Result<rcgen::CertifiedKey<rcgen::KeyPair>, TlsError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    rcgen::generate_simple_self_signed(names).map_err(|error| TlsError::Config(error.to_string()))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TlsError> {
    let partial = path.with_extension("part");
    let write = || {
        if partial.exists() {
            fs::remove_file(&partial)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file = options.open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|source| TlsError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_self_signed_certificate_is_kept_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let first = Certificate::load(None, dir.path(), listen).unwrap();
        let second = Certificate::load(None, dir.path(), listen).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        first.server_config(&TransportLimits::default()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let key = fs::metadata(dir.path().join("certificate.key.pem")).unwrap();
            assert_eq!(key.permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_lost_certificate_is_not_replaced_by_a_new_one_unless_that_is_asked_for() {
        let listen = "127.0.0.1:0".parse().unwrap();
        for lost in [CHAIN, KEY] {
            let dir = tempfile::tempdir().unwrap();
            let load = || Certificate::load(None, dir.path(), listen);
            let first = load().unwrap().fingerprint();
            fs::rename(dir.path().join(lost), dir.path().join("away")).unwrap();
            for _ in 0..2 {
                let error = load().unwrap_err().to_string();
                for part in [lost, "is missing", "remove", MADE] {
                    assert!(error.contains(part), "{part}: {error}");
                }
            }
            fs::copy(dir.path().join("away"), dir.path().join(lost)).unwrap();
            assert_eq!(load().unwrap().fingerprint(), first);
            fs::remove_file(dir.path().join(lost)).unwrap();
            fs::remove_file(dir.path().join(MADE)).unwrap();
            let second = load().unwrap().fingerprint();
            assert_ne!(second, first);
            assert_eq!(load().unwrap().fingerprint(), second);
            assert!(dir.path().join(MADE).exists());
        }
    }

    #[test]
    fn a_public_address_needs_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let listen = "0.0.0.0:7000".parse().unwrap();
        let error = Certificate::load(None, dir.path(), listen).unwrap_err();
        assert!(matches!(error, TlsError::CertificateRequired(_)));
    }
}
