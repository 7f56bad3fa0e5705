//! Behind a proxy that puts everything under `/qpq/`: the documentation and the console work.
#![expect(clippy::disallowed_methods, reason = "the tasks end with the test")]

use quicproquo_tests::cdp::Browser;
use quicproquo_tests::{Bot, Launch};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::{console, swagger};

/// Passes what is under the prefix on, without it.
async fn proxy(listener: TcpListener, gateway: String) {
    loop {
        let (client, _) = listener.accept().await.expect("accept");
        let gateway = gateway.clone();
        // A browser may hang up at any time.
        tokio::spawn(async move { pass(client, &gateway).await.ok() });
    }
}

/// One request a connection: of the next one the path would have to be changed as well.
async fn pass(mut client: TcpStream, gateway: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (line, headers) = head.split_once("\r\n").unwrap_or_default();
    let Some((method, path)) = line.split_once(" /qpq/") else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    };
    let upgrade = headers.to_ascii_lowercase().contains("\r\nupgrade:");
    let kept = |line: &&str| upgrade || !line.to_ascii_lowercase().starts_with("connection:");
    let mut headers: Vec<&str> = headers.split("\r\n").filter(kept).collect();
    if !upgrade {
        headers.insert(0, "Connection: close");
    }
    let mut server = TcpStream::connect(gateway).await?;
    server.write_all(format!("{method} /{path}\r\n{}", headers.join("\r\n")).as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[tokio::test]
async fn documentation_and_console_work_under_a_prefix() {
    let dir = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let launch = Launch::up(&dir.path().join("up")).arg("--http-allowed-host", &address);
    let up = launch.start().await;
    let alice = Bot::create(&up, "alice").await;
    let gateway = up.url().trim_start_matches("http://").to_owned();
    let proxy = tokio::spawn(proxy(listener, gateway));

    // Without the slash at its end, as people type it.
    swagger::execute(&format!("http://{address}/qpq/docs"), &alice).await;

    let mut browser = Browser::open(&format!("http://{address}/qpq/console")).await;
    console::sign_in(&mut browser, alice.api.token()).await;
    console::says(&mut browser, "#who", "alice").await;
    proxy.abort();
}
