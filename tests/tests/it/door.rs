//! The gateway's door: TLS, a Unix socket, slow and ambiguous requests, an orderly end (T22).
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use futures::future::join_all;
use quicproquo_tests::bot::{messages, text_message};
use quicproquo_tests::seed::{pick, say};
use quicproquo_tests::{Api, LONG, Launch, Running, SOON, pair, wait_for, within};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio::time::Instant;

const USAGE: i32 = 2;

/// How soon who is slow is shown out (T22), and where others have the processors as well.
const SHOWN_OUT: Duration = Duration::from_secs(15);
const SHOWN_OUT_BUSY: Duration = Duration::from_secs(25);
/// What is closed before this is refused for another reason.
const HELD: Duration = Duration::from_secs(9);
/// How long nothing may come of a file.
const PAUSE: Duration = Duration::from_secs(30);

fn address(gateway: &Running) -> String {
    gateway.url().trim_start_matches("http://").to_owned()
}

async fn everything(mut stream: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is an end as well.
    let _ = within("the connection to end", SOON, stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Handshakes with what Python links, which is OpenSSL: tries a version of TLS on an address,
/// then asks for a path; prints version, status, whether a ticket came, and the certificate.
async fn handshake(address: &str, authority: &Path, highest: &str) -> Output {
    const TRY: &str = "import hashlib, socket, ssl, sys
host, port = sys.argv[1].rsplit(':', 1)
context = ssl.create_default_context(cafile=sys.argv[2])
context.maximum_version = getattr(ssl.TLSVersion, sys.argv[3])
context.set_alpn_protocols(['h2', 'http/1.1'])
with socket.create_connection((host, int(port)), timeout=20) as tcp:
    with context.wrap_socket(tcp, server_hostname='localhost') as tls:
        request = f'GET /health/live HTTP/1.1\\r\\nHost: localhost:{port}\\r\\nConnection: close\\r\\n\\r\\n'
        tls.sendall(request.encode())
        answer = b''
        while part := tls.recv(4096):
            answer += part
        session = tls.session
        print(tls.version(), answer.split()[1].decode(), bool(session and session.has_ticket),
              tls.selected_alpn_protocol(),
              hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest())";
    let args = ["-c", TRY, address, authority.to_str().unwrap(), highest];
    let output = Command::new("python3").args(args).output();
    within("a handshake", SOON, output).await.unwrap()
}

fn words(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn tls_is_1_3_only_without_early_data_and_its_certificate_is_read_again() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).arg("--http-tls", "true").start().await;
    assert!(up.field("api").starts_with("https://"), "{}", up.ready());
    let at = address(&up);
    let authority = data.join("gateway/certificate.pem");
    let seen = words(&handshake(&at, &authority, "TLSv1_3").await);
    // Without a ticket there is nothing that early data could be sent under.
    assert_eq!(seen[..4], ["TLSv1.3", "200", "False", "http/1.1"]);
    let old = handshake(&at, &authority, "TLSv1_2").await;
    assert!(!old.status.success(), "TLS 1.2 is spoken: {old:?}");
    // Plain HTTP gets no answer of ours.
    let mut plain = TcpStream::connect(&at).await.unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(!everything(plain).await.contains("HTTP/1.1 200"));

    // A key of another certificate: the former ones stay.
    let hang_up = async || {
        let pid = up.pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    };
    let logged = async |text: &str| {
        let found = async || String::from_utf8_lossy(&up.log()).contains(text).then_some(());
        wait_for(text, SOON, found).await;
    };
    let key = data.join("gateway/certificate.key.pem");
    let fresh = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&key, fresh.signing_key.serialize_pem()).unwrap();
    hang_up().await;
    logged("the gateway's former certificate stays in use").await;
    assert_eq!(words(&handshake(&at, &authority, "TLSv1_3").await), seen);
    std::fs::write(&authority, fresh.cert.pem()).unwrap();
    hang_up().await;
    logged("the gateway's certificate was read again").await;
    let renewed = words(&handshake(&at, &authority, "TLSv1_3").await);
    assert_ne!(renewed[4], seen[4]);
    up.stop().await;
}

#[tokio::test]
async fn a_public_address_needs_a_certificate_and_names() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up")).arg("--http-listen", "0.0.0.0:0");
    let ended = launch.fail().await;
    assert_eq!(ended.code, USAGE, "{}", ended.stderr);
    assert!(ended.stderr.contains("http.certificate"), "{}", ended.stderr);

    let fresh = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    std::fs::write(&chain, fresh.cert.pem()).unwrap();
    std::fs::write(&key, fresh.signing_key.serialize_pem()).unwrap();
    let launch = launch
        .arg("--http-certificate", chain.to_str().unwrap())
        .arg("--http-key", key.to_str().unwrap());
    let ended = launch.fail().await;
    assert!(ended.stderr.contains("http.allowed_hosts"), "{}", ended.stderr);
    let up = launch.arg("--http-allowed-host", "bots.example").start().await;
    let at = address(&up).replace("0.0.0.0", "127.0.0.1");
    assert_eq!(words(&handshake(&at, &chain, "TLSv1_3").await)[1], "200");
    up.stop().await;
}

/// Asks at a Unix socket.
const ASK: &str = "import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'GET /health/live HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')
try: print(s.recv(100))
except ConnectionResetError: print(b'')";

#[tokio::test]
async fn the_unix_socket_answers_the_same_user_only() {
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let path = dir.path().join("api.sock");
    let launch = Launch::up(&dir.path().join("up")).arg("--http-socket", path.to_str().unwrap());
    let up = launch.start().await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let ask = async |host: &str| {
        let mut socket = UnixStream::connect(&path).await.unwrap();
        let request =
            format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        everything(socket).await
    };
    assert!(ask("localhost").await.starts_with("HTTP/1.1 200"));
    assert!(ask("evil.example").await.starts_with("HTTP/1.1 403"));

    // Another user is not answered even where the file's mode would let it in.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let stranger = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c", ASK])
        .arg(&path)
        .output()
        .await
        .unwrap();
    if stranger.status.success() {
        assert_eq!(String::from_utf8_lossy(&stranger.stdout).trim(), "b''", "{stranger:?}");
        assert!(String::from_utf8_lossy(&up.log()).contains("a process of another user"));
    } else {
        say(&format!("SKIPPED, another user cannot be played: {stranger:?}"));
    }
    up.stop().await;
    assert!(!path.exists());
}

/// Requests that two readers could understand in two ways; each carries a second one inside.
const AMBIGUOUS: [(&str, &str); 14] = [
    ("two lengths", "Content-Length: 0\r\nContent-Length: 40\r\n\r\n"),
    ("lengths in a list", "Content-Length: 0, 40\r\n\r\n"),
    ("a signed length", "Content-Length: +0\r\n\r\n"),
    ("a negative length", "Content-Length: -1\r\n\r\n"),
    ("a length in hexadecimal", "Content-Length: 0x0\r\n\r\n"),
    ("a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("chunks that are not last", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("an unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("a folded header", "X: 1\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a bare carriage return", "X: 1\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a nul", "Content-Length: 0\0\r\n\r\n"),
    ("a broken chunk", "Transfer-Encoding: chunked\r\n\r\n0;\n\r\nxx\r\n"),
];

#[tokio::test]
async fn a_request_inside_an_ambiguous_one_is_not_answered() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let at = address(&up);
    let inner = format!("GET /health/live HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    let answers = async |head: &str| {
        let mut socket = TcpStream::connect(&at).await.unwrap();
        let request = format!("POST /v1/groups HTTP/1.1\r\nHost: {at}\r\n{head}{inner}");
        socket.write_all(request.as_bytes()).await.unwrap();
        let text = everything(socket).await;
        (text.matches("HTTP/1.1 ").count(), text.contains("\"live\""))
    };
    for (what, head) in AMBIGUOUS {
        let (count, live) = answers(head).await;
        assert!(count <= 1 && !live, "{what}: {count} answers");
    }
    // HTTP/1.0 knows no chunks.
    let mut socket = TcpStream::connect(&at).await.unwrap();
    let old = format!(
        "POST /v1/groups HTTP/1.0\r\nHost: {at}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    socket.write_all(format!("{old}{inner}").as_bytes()).await.unwrap();
    assert!(!everything(socket).await.contains("\"live\""));
    // The control: what is clear is answered twice on one connection.
    assert_eq!(answers("Content-Length: 2\r\n\r\n{}").await, (2, true));
    assert_eq!(answers("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n").await, (2, true));
}

/// A connection on which so much was said.
struct Stalled {
    socket: TcpStream,
    begun: Instant,
}

impl Stalled {
    async fn open(at: &str, said: &str) -> Self {
        let mut socket = TcpStream::connect(at).await.unwrap();
        let begun = Instant::now();
        socket.write_all(said.as_bytes()).await.unwrap();
        Self { socket, begun }
    }

    /// Reads to the end; answers what came, and how long after the connection began it ended.
    async fn end(mut self) -> (String, Duration) {
        let mut bytes = Vec::new();
        let reading = self.socket.read_to_end(&mut bytes);
        let _ = within("the connection to end", LONG, reading).await;
        (String::from_utf8_lossy(&bytes).into_owned(), self.begun.elapsed())
    }
}

fn timed_out(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request-timeout"), "{answer}");
}

#[tokio::test]
async fn slow_connections_are_closed_and_others_are_answered() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    let at = address(&up);
    let head = |path: &str, kind: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: {kind}\r\nContent-Length: 1000\r\n\r\n{{",
            alice.api.token()
        )
    };
    // A body that does not come, on a route that reads it.
    let body = head(&messages(&group), "application/json");
    let headers = format!("GET /health/live HTTP/1.1\r\nHost: {at}\r\nX: ");
    let kinds = ["", "GET /health", &headers, &body];
    // A file may pause for longer.
    let upload = Stalled::open(&at, &head("/v1/attachments", "text/plain")).await;
    let mut slow = Vec::new();
    for kind in kinds.into_iter().cycle().take(pick(200, 2_000)) {
        slow.push((kind == body, Stalled::open(&at, kind).await));
    }
    let ends = slow.into_iter().map(async |(has_body, stalled)| {
        let (answer, took) = stalled.end().await;
        if has_body {
            timed_out(&answer);
        }
        assert!(took >= HELD, "refused after {took:?}: {answer}");
        took
    });
    let slow = async {
        let longest = join_all(ends).await.into_iter().max().unwrap();
        say(&format!("the last of the slow connections was closed after {longest:?}"));
        assert!(longest < pick(SHOWN_OUT_BUSY, SHOWN_OUT), "closed after {longest:?}");
    };
    let upload = async {
        let (answer, took) = upload.end().await;
        timed_out(&answer);
        assert!(took >= PAUSE && took < PAUSE + SOON, "given up after {took:?}");
    };
    let others = async {
        for _ in 0..10 {
            alice.say(&group, "meanwhile").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::join!(slow, upload, others);
    alice.say(&group, "afterwards").await;
}

#[tokio::test]
async fn what_has_begun_is_finished_at_the_end() {
    let dir = TempDir::new().unwrap();
    let mut up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, _bob, group) = pair(&up).await;
    let at = address(&up);
    let body = text_message("the last words").to_string();
    let mut socket = TcpStream::connect(&at).await.unwrap();
    let head = format!(
        "POST /v1/groups/{group}/messages HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        alice.api.token(),
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The gateway is at the body.
    let mut go_on = [0; 25];
    within("100 Continue", SOON, socket.read_exact(&mut go_on)).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
    let last = async {
        wait_for("the door to be closed", SOON, async || {
            Api::new(&format!("http://{at}"), "")
                .try_send(alice.api.request(reqwest::Method::GET, "/health/live"))
                .await
                .is_err()
                .then_some(())
        })
        .await;
        socket.write_all(body.as_bytes()).await.unwrap();
        everything(socket).await
    };
    let (answer, status) = tokio::join!(last, up.terminate());
    assert!(status.success(), "{status}");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
