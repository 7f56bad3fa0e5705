//! A WebSocket that costs its own side next to nothing: what is measured is the gateway.

use std::borrow::Cow;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exit::Failure;

/// How long to wait for the next frame.
const PATIENCE: Duration = Duration::from_secs(30);
/// Read at once.
const PIECE: usize = 16 * 1024;
/// Events that a consumer may have without acknowledging them; it acknowledges none.
const UNACKNOWLEDGED: usize = 1000;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// First bit of a frame that is whole, and of the length of one that has a mask.
const MARK: u8 = 0x80;

/// What is read of the frame of a received message.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Event<'a>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    content: Content<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
}

/// Fails when nothing came in time.
pub(super) async fn in_time<T>(
    hearing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| Err(Failure::other("nothing came in time"));
    timeout(PATIENCE, hearing).await.unwrap_or_else(late)
}

/// An open stream of events. Pings are answered when it is read.
#[derive(Debug)]
pub(super) struct Ear {
    stream: TcpStream,
    /// Bytes that are not read yet.
    buffer: Vec<u8>,
}

impl Ear {
    /// At the end of a connection that sends frames and nothing else.
    pub(super) fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Connects with a bot's token, and waits until the gateway has said hello. With a consumer's
    /// name it goes on where that one was.
    pub(super) async fn open(
        gateway: SocketAddr,
        token: &str,
        consumer: Option<&str>,
    ) -> Result<Self, Failure> {
        let query = consumer
            .map(|name| format!("?consumer={name}&prefetch={UNACKNOWLEDGED}"))
            .unwrap_or_default();
        let mut stream = TcpStream::connect(gateway).await.map_err(Failure::other)?;
        stream.set_nodelay(true).map_err(Failure::other)?;
        let request = format!(
            "GET /v1/events/ws{query} HTTP/1.1\r\nHost: {gateway}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(Failure::other)?;
        let mut ear = Self { stream, buffer: Vec::new() };
        let head = loop {
            if let Some(end) = ear.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break ear.buffer.drain(..end + 4).collect::<Vec<u8>>();
            }
            in_time(ear.read()).await?;
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            return Err(Failure::other(format!("no WebSocket: {line}")));
        }
        in_time(ear.text(|_| Some(()))).await?;
        // Sockets that only wait keep nothing.
        ear.buffer.shrink_to_fit();
        Ok(ear)
    }

    /// Makes something of the body of the next received message.
    pub(super) async fn message<T>(&mut self, of: impl Fn(&str) -> T) -> Result<T, Failure> {
        let message = self.text(|text| {
            let frame = is_message(text).then(|| serde_json::from_slice::<Frame>(text).ok())??;
            Some(of(&frame.event.data.content.body))
        });
        in_time(message).await
    }

    /// Waits for a received message, without looking into it and however long it takes: a clock for
    /// each of many would be paid by all.
    pub(super) async fn hear(&mut self) -> Result<(), Failure> {
        self.text(|text| is_message(text).then_some(())).await
    }

    /// The text of the next frame that has a received message.
    pub(super) async fn frame(&mut self) -> Result<Vec<u8>, Failure> {
        in_time(self.text(|text| is_message(text).then(|| text.to_vec()))).await
    }

    /// The first text of which `wanted` makes something; others are skipped.
    async fn text<T>(&mut self, wanted: impl Fn(&[u8]) -> Option<T>) -> Result<T, Failure> {
        loop {
            while let Some((opcode, start, end)) = frame(&self.buffer) {
                let found = if opcode == TEXT { wanted(&self.buffer[start..end]) } else { None };
                let pong = (opcode == PING).then(|| pong(&self.buffer[start..end]));
                self.buffer.drain(..end);
                if let Some(pong) = pong {
                    self.stream.write_all(&pong).await.map_err(Failure::other)?;
                }
                if let Some(found) = found {
                    return Ok(found);
                }
                if opcode == CLOSE {
                    return Err(Failure::other("the gateway closed an event stream"));
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Failure> {
        // Before memory is taken for what comes.
        poll_fn(|cx| self.stream.poll_read_ready(cx)).await.map_err(Failure::other)?;
        self.buffer.reserve(PIECE);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Failure::other("an event stream ended")),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::other(error)),
        }
    }
}

fn is_message(text: &[u8]) -> bool {
    const KIND: &[u8] = b"\"type\":\"message.received\"";
    text.windows(KIND.len()).any(|part| part == KIND)
}

/// The bytes by which a gateway sends a text.
pub(super) fn text_frame(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![MARK | TEXT];
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(short @ ..126), _) => bytes.push(short),
        (_, Ok(long)) => {
            bytes.push(126);
            bytes.extend(long.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((text.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(text);
    bytes
}

/// The answer to a ping, whose payload is short. The mask is of zeros, which change nothing.
fn pong(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or_default();
    [&[MARK | PONG, MARK | length, 0, 0, 0, 0], payload].concat()
}

/// Opcode, begin and end of the payload of the first frame, if it is whole. A gateway sends whole
/// messages, without a mask.
fn frame(buffer: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let (start, length) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = start + usize::try_from(length).ok()?;
    (buffer.len() >= end).then_some((first & 0x0f, start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_made_are_read() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let bytes = text_frame(&vec![b'x'; length]);
            assert_eq!(frame(&bytes), Some((TEXT, bytes.len() - length, bytes.len())));
        }
    }

    #[test]
    fn a_ping_is_answered_with_what_it_brought() {
        assert_eq!(pong(b"abc"), b"\x8a\x83\0\0\0\0abc");
        assert_eq!(pong(b""), b"\x8a\x80\0\0\0\0");
    }

    #[test]
    fn frames_of_all_lengths() {
        assert_eq!(frame(&[0x81]), None);
        assert_eq!(frame(&[0x81, 2, b'h']), None);
        assert_eq!(frame(&[0x81, 2, b'h', b'i', 0x81]), Some((TEXT, 2, 4)));
        let long = [&[0x81, 126, 1, 0][..], &[0; 256]].concat();
        assert_eq!(frame(&long), Some((TEXT, 4, 260)));
        assert_eq!(frame(&long[..259]), None);
        let longer = [&[0x88, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![0; 65536]].concat();
        assert_eq!(frame(&longer), Some((CLOSE, 10, 65546)));
    }
}
