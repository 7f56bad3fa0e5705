//! What it costs by itself here to tell many connections the same: a bare task for each, the same
//! bytes, the same readers.

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::bytes::Bytes;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::super::Sample;
use super::crowd::Crowd;
use super::ear::{Ear, text_frame};
use crate::exit::Failure;

/// Connections that hear nothing but what they are told.
pub(super) struct Broadcast {
    tell: watch::Sender<Bytes>,
    frame: Bytes,
    crowd: Crowd,
    _serving: Vec<AbortOnDropHandle<()>>,
}

impl Broadcast {
    /// So many connections, which will be told this text.
    pub(super) async fn open(count: usize, text: &[u8]) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Failure::other)?;
        let address = listener.local_addr().map_err(Failure::other)?;
        let (tell, _) = watch::channel(Bytes::new());
        let (tasks, mut ears, mut serving) = (TaskTracker::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let (ear, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
            let (ear, (stream, _)) =
                (ear.map_err(Failure::other)?, accepted.map_err(Failure::other)?);
            stream.set_nodelay(true).map_err(Failure::other)?;
            ears.push(Ear::of(ear));
            let told = tasks.spawn(repeat(stream, tell.subscribe()));
            serving.push(AbortOnDropHandle::new(told));
        }
        Ok(Self { tell, frame: text_frame(text).into(), crowd: Crowd::of(ears), _serving: serving })
    }

    /// Nanoseconds until each has it, one time after the other.
    pub(super) async fn hear(&mut self, count: usize) -> Result<Vec<Sample>, Failure> {
        let mut rounds = Vec::new();
        for _ in 0..count {
            let tell = async {
                self.tell.send_replace(self.frame.clone());
                Ok(())
            };
            rounds.push(self.crowd.hear(tell).await?);
        }
        Ok(rounds)
    }
}

async fn repeat(mut stream: TcpStream, mut told: watch::Receiver<Bytes>) {
    while told.changed().await.is_ok() {
        let frame = told.borrow_and_update().clone();
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_each_time() {
        let text = br#"{"type":"event","event":{"type":"message.received"}}"#;
        let mut broadcast = Broadcast::open(3, text).await.unwrap();
        let rounds = broadcast.hear(2).await.unwrap();
        assert_eq!(rounds.len(), 2);
        assert!(rounds.iter().all(|sample| sample.quantile(100) > 0.0));
    }
}
