//! A request whose body comes later: the gateway has let it in, and waits for the body.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::Api;
use crate::wait::{SOON, within};

/// A POST of which the head was sent. Dropping it breaks it off.
#[derive(Debug)]
pub struct Later {
    socket: TcpStream,
}

impl Later {
    /// Sends the head, and waits until the gateway asks for the body (RFC 9110 section 10.1.1).
    pub async fn post(api: &Api, path: &str, length: usize, headers: &[(&str, &str)]) -> Self {
        const ASKED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let address = api.base().trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let token = api.token();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n"
        );
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        socket.write_all(head.as_bytes()).await.expect("the head is sent");
        let mut line = [0; ASKED.len()];
        let read = within("to be asked for the body", SOON, socket.read_exact(&mut line));
        read.await.expect("an answer");
        assert_eq!(line, ASKED, "{}", String::from_utf8_lossy(&line));
        Self { socket }
    }

    /// Sends some of the body.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("some of the body is sent");
    }

    /// Sends the rest of the body; answers everything that comes back.
    pub async fn finish(mut self, bytes: &[u8]) -> String {
        self.write(bytes).await;
        let mut answer = String::new();
        let read = within("the answer", SOON, self.socket.read_to_string(&mut answer));
        read.await.expect("an answer");
        answer
    }
}
