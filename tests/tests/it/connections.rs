//! More connections than there may be: further ones wait, or of one address are closed.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use quicproquo_tests::seed::say;
use quicproquo_tests::{Api, Launch, SOON, Socket, wait_for, within};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For what must not happen, and otherwise happens in milliseconds.
const A_WHILE: Duration = Duration::from_millis(300);

async fn connect(at: SocketAddr) -> TcpStream {
    within("a connection", SOON, TcpStream::connect(at)).await.unwrap()
}

/// Asks for something and leaves the connection open.
async fn ask(socket: &mut TcpStream, at: SocketAddr) {
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {at}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
}

async fn answered(socket: &mut TcpStream) {
    let mut bytes = [0; 12];
    within("an answer", SOON, socket.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 200");
}

/// Opens one that has its place when it is answered.
async fn enter(at: SocketAddr) -> TcpStream {
    let mut socket = connect(at).await;
    ask(&mut socket, at).await;
    answered(&mut socket).await;
    socket
}

#[tokio::test]
async fn further_connections_wait_until_one_ends() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).arg("--http-connections", "3").start().await;
    let at: SocketAddr = up.url().trim_start_matches("http://").parse().unwrap();
    let new = json!({ "name": "bob" });
    let bot = up.admin().post("/v1/bots", &new).await.expect(201);
    let token = quicproquo_tests::bot::find_token(&bot).unwrap().to_owned();
    // The caller's own connection has ended, or ends soon: nothing else is open now.
    let bob = Api::new(&up.url(), &token);
    let first = enter(at).await;
    let second = enter(at).await;
    let ear = Socket::open(&bob, "").await;

    // A WebSocket has a place as others have. Who comes now is not answered, and not refused.
    let (mut fourth, mut fifth) = (connect(at).await, connect(at).await);
    for waiting in [&mut fourth, &mut fifth] {
        ask(waiting, at).await;
        let early = timeout(A_WHILE, waiting.read_u8()).await;
        assert!(early.is_err(), "there is a fourth place: {early:?}");
    }
    drop(first);
    answered(&mut fourth).await;
    assert!(timeout(A_WHILE, fifth.read_u8()).await.is_err(), "there is a fourth place");
    drop(ear);
    answered(&mut fifth).await;
    // All places are given back: as many as before can be taken again.
    drop((second, fourth, fifth));
    let again = [enter(at).await, enter(at).await];
    let mut ear = Socket::open(&bob, "").await;
    ear.ping().await;
    drop((again, ear));
    up.stop().await;
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_loopback_as_many_as_there_are() {
    let Some(own) = own_address() else { return say("SKIPPED, there is no other address") };
    let dir = TempDir::new().unwrap();
    let fresh = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    std::fs::write(&chain, fresh.cert.pem()).unwrap();
    std::fs::write(&key, fresh.signing_key.serialize_pem()).unwrap();
    let up = Launch::up(&dir.path().join("up"))
        .arg("--http-listen", "0.0.0.0:0")
        .arg("--http-certificate", chain.to_str().unwrap())
        .arg("--http-key", key.to_str().unwrap())
        .arg("--http-allowed-host", "localhost")
        .arg("--http-connections-per-address", "2")
        .start()
        .await;
    let port = up.url().rsplit(':').next().unwrap().parse().unwrap();
    let at = SocketAddr::new(own, port);
    // What is not closed waits for a handshake that does not come.
    let (mut first, mut second) = (connect(at).await, connect(at).await);
    let mut third = connect(at).await;
    let _ = within("the third to be closed", SOON, third.read_u8()).await;
    let open = tokio::join!(timeout(A_WHILE, first.read_u8()), timeout(A_WHILE, second.read_u8()));
    assert!(open.0.is_err() && open.1.is_err(), "there are no two places: {open:?}");
    drop(first);
    wait_for("the place to be free again", SOON, async || {
        let mut next = connect(at).await;
        timeout(A_WHILE, next.read_u8()).await.is_err().then_some(())
    })
    .await;
    let local = SocketAddr::from(([127, 0, 0, 1], port));
    let locals = (0..3).map(async |_| timeout(A_WHILE, connect(local).await.read_u8()).await);
    let locals = futures::future::join_all(locals).await;
    assert!(locals.iter().all(Result::is_err), "loopback has a limit: {locals:?}");
    up.stop().await;
}
