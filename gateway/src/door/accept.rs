//! The accept loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::listener::Kind;
use super::places::ConnectionPermit;
use super::{Door, Listener, Peer, connection};

/// How long to wait when the process has no more file descriptors: others must close theirs first.
const BREATH: Duration = Duration::from_millis(100);

/// Bytes that the kernel keeps for a connection beyond those that are on their way; it takes more
/// when half of them have left (tcp(7)).
const UNSENT: u32 = 64 * 1024;

/// Accepts at one listener until the door is closed.
pub(super) async fn accept(listener: Listener, door: Arc<Door>) {
    let closed = door.end.closed.clone();
    let router = listener.router.clone().unwrap_or_else(|| door.router.clone());
    let accepting = async {
        while let Some(place) = door.places.free().await {
            let accepted = match &listener.kind {
                Kind::Tcp(tcp, tls) => tcp.accept().await.map(|(socket, from)| {
                    let peer = Peer::Tcp(from);
                    if let Some(place) = door.places.give(place, peer.ip()) {
                        door.counts.accepted.inc();
                        let tls = tls.clone();
                        let at =
                            At { door: Arc::clone(&door), router: router.clone(), peer, place };
                        door.tasks.spawn(at.over_tcp(socket, tls));
                    } else {
                        door.counts.crowded.inc();
                        tracing::debug!("an address has too many connections");
                    }
                }),
                Kind::Unix(unix, file) => unix.accept().await.and_then(|(socket, _)| {
                    let uid = socket.peer_cred()?.uid();
                    if !file.admits(uid) {
                        tracing::warn!(uid, "a process of another user is at the socket");
                    } else if let Some(place) = door.places.give(place, None) {
                        door.counts.accepted.inc();
                        let (peer, router) = (Peer::Local, router.clone());
                        let at = At { door: Arc::clone(&door), router, peer, place };
                        door.tasks.spawn(at.over_unix(socket));
                    }
                    Ok(())
                }),
            };
            if let Err(error) = accepted {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
        }
    };
    let _ = closed.run_until_cancelled(accepting).await;
}

/// A connection that came in.
struct At {
    door: Arc<Door>,
    router: Router,
    peer: Peer,
    place: ConnectionPermit,
}

impl At {
    async fn over_tcp(self, socket: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) {
        // Small answers must not wait for the peer's delayed acknowledgements.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        // Else the kernel keeps megabytes for a slow reader, and says nothing of what it reads until
        // it has read a third of them.
        if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT) {
            tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
        }
        let socket = connection::watched(socket, self.door.limits.stalled);
        let Some(tls) = tls else { return self.serve(socket).await };
        let handshake = timeout(self.door.limits.head, TlsAcceptor::from(tls).accept(socket));
        let shaken = self.door.end.soft.run_until_cancelled(handshake).await;
        match shaken.map(|in_time| in_time.unwrap_or_else(|late| Err(io::Error::from(late)))) {
            Some(Ok(stream)) => self.serve(stream).await,
            Some(Err(error)) => {
                self.door.counts.handshakes_failed.inc();
                tracing::debug!(%error, "a TLS handshake failed");
            }
            None => {}
        }
    }

    async fn over_unix(self, socket: UnixStream) {
        let socket = connection::watched(socket, self.door.limits.stalled);
        self.serve(socket).await;
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        connection::serve(&self.door, &self.router, stream, self.peer, self.place).await;
    }
}
