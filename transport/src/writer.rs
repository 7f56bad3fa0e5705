//! Writes what has gathered, all of it at once.

use bytes::Bytes;
use quinn::SendStream;
use tokio::time::timeout;

use crate::link::{Fault, Link};

/// The writing half of a connection.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: SendStream,
    link: Link,
}

impl Writer {
    pub(crate) fn new(stream: SendStream, link: Link) -> Self {
        Self { stream, link }
    }

    /// Writes until the connection is closed or lost, or the peer has read nothing for too long.
    pub(crate) async fn run(mut self) {
        let result = self.write().await;
        self.link.end(result);
    }

    async fn write(&mut self) -> capnp::Result<()> {
        let stalled = self.link.stalled();
        let result = loop {
            let mut batch = match self.link.batch().await {
                Ok(batch) => batch,
                Err(closing) => break closing,
            };
            let mut rest: &mut [Bytes] = &mut batch;
            while !rest.is_empty() {
                let written = match timeout(stalled, self.stream.write_chunks(rest)).await {
                    Ok(written) => written.map_err(lost)?,
                    Err(_) => return Err(self.link.fail(Fault::Stalled)),
                };
                self.link.sent(written.bytes);
                rest = &mut rest[written.chunks..];
            }
        };
        if self.link.fault().is_some() {
            // Who broke the rules is not waited for.
            return result;
        }
        self.stream.finish().map_err(lost)?;
        // Closing the connection would throw away what is not acknowledged.
        let _ = timeout(stalled, self.stream.stopped()).await;
        result
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.link.end(Err(lost("the writer is gone")));
    }
}

pub(crate) fn lost(error: impl std::fmt::Display) -> capnp::Error {
    capnp::Error::disconnected(error.to_string())
}
