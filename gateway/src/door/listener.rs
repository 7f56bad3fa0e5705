//! Where a door listens: at a TCP address, with or without TLS, or at a Unix socket.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};

/// Something a door listens at.
#[derive(Debug)]
pub struct Listener {
    pub(super) kind: Kind,
    /// What is answered there, when it is not what the door answers elsewhere.
    pub(super) router: Option<Router>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Tcp(TcpListener, Option<Arc<ServerConfig>>),
    Unix(UnixListener, SocketFile),
}

/// A listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Another program listens there.
    #[error("{0} is taken by another program")]
    Taken(String),
    /// Any other reason.
    #[error("cannot listen on {at}: {source}")]
    Failed {
        /// Where.
        at: String,
        /// The cause.
        source: io::Error,
    },
}

impl Listener {
    /// Listens at a TCP address; port 0 takes a free one.
    ///
    /// # Errors
    /// See [`ListenerError`].
    pub async fn tcp(addr: SocketAddr) -> Result<Self, ListenerError> {
        let listener = TcpListener::bind(addr).await.map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => ListenerError::Taken(addr.to_string()),
            _ => ListenerError::Failed { at: addr.to_string(), source },
        })?;
        Ok(Self::of(Kind::Tcp(listener, None)))
    }

    /// Listens at a Unix socket (0600), for processes of the same user and of root. One that
    /// nobody listens at any more is replaced.
    ///
    /// # Errors
    /// See [`ListenerError`].
    pub fn unix(path: &Path) -> Result<Self, ListenerError> {
        let at = || path.display().to_string();
        let failed = |source| ListenerError::Failed { at: at(), source };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(failed(io::Error::other("something else has this name")));
            }
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(ListenerError::Taken(at()));
            }
            // Left by a process that was killed: the new one takes its name.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = bind_private(path).map_err(failed)?;
        let owner = fs::metadata(path).map_err(failed)?.uid();
        Ok(Self::of(Kind::Unix(listener, SocketFile { path: path.to_owned(), owner })))
    }

    /// Speaks TLS from now on. A Unix socket does not.
    pub(crate) fn with_tls(mut self, tls: Arc<ServerConfig>) -> Self {
        if let Kind::Tcp(_, slot) = &mut self.kind {
            *slot = Some(tls);
        }
        self
    }

    /// Answers with these routes.
    pub(crate) fn with_router(mut self, router: Router) -> Self {
        self.router = Some(router);
        self
    }

    fn of(kind: Kind) -> Self {
        Self { kind, router: None }
    }

    /// The TCP address that is bound; the port is the real one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(listener, _) => listener.local_addr().ok(),
            Kind::Unix(..) => None,
        }
    }
}

/// It gets its name only when its mode is right: nobody else can connect in between.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let partial = path.with_file_name(name);
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&partial)?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o600))?;
    fs::rename(&partial, path)?;
    Ok(listener)
}

/// The name of a Unix socket; it goes with the listener.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Our own user, whose the file is.
    owner: u32,
}

impl SocketFile {
    /// Whether a process of this user may connect.
    pub(super) fn admits(&self, uid: u32) -> bool {
        uid == self.owner || uid == 0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_taken_once_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let first = Listener::unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Listener::unix(&path), Err(ListenerError::Taken(_))));
        drop(first);
        assert!(!path.exists());
        // One that a killed process has left is replaced, any other file is not.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::unix(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(Listener::unix(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn only_the_same_user_and_root_are_admitted() {
        let file = SocketFile { path: PathBuf::from("/nowhere"), owner: 1000 };
        assert!(file.admits(1000) && file.admits(0));
        assert!(!file.admits(1001));
    }
}
