//! The rules of the store, as tests that every backend passes.

mod directory;
mod queues;
mod sends;
mod sweeping;

use std::sync::Arc;

use quicproquo_schemas::id::{ChannelId, IdentityKey, Instance, SendId};

use super::plan::{QueueLimits, run_batch, run_sweep};
use super::write::{
    Ack, Authenticate, Channel, Delivery, Enqueue, Multicast, Remove, Sender, Write, Written,
};
use super::{Backend, Page, Reads, Refusal, RowContent, memory, sqlite};

type Answers = Vec<Result<Written, Refusal>>;

const DAY: u64 = 24 * 3600;

/// A backend under test, with its clock and limits.
struct Rig<B> {
    backend: B,
    reads: Arc<dyn Reads>,
    limits: QueueLimits,
    now: u64,
}

/// Runs a test on each backend.
macro_rules! on_each_backend {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::super::memory_rig()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(super::super::sqlite_rig(&dir).await).await;
            })*
        }
    };
}
use on_each_backend;

fn rig<B>(backend: B, reads: Arc<dyn Reads>) -> Rig<B> {
    let limits =
        QueueLimits { rows: 100, bytes: 10_000, ttl_secs: u32::try_from(30 * DAY).unwrap() };
    Rig { backend, reads, limits, now: 1_000_000 }
}

fn memory_rig() -> Rig<memory::Memory> {
    let memory = memory::Memory::default();
    rig(memory.clone(), Arc::new(memory))
}

async fn sqlite_rig(dir: &tempfile::TempDir) -> Rig<sqlite::Sqlite> {
    let database = sqlite::open(dir.path()).await.unwrap();
    rig(database.writer, Arc::new(database.reads))
}

impl<B: Backend> Rig<B> {
    async fn batch(&mut self, batch: &[Write]) -> Answers {
        run_batch(&mut self.backend, batch, self.limits, self.now).await.unwrap().answers
    }

    async fn one(&mut self, write: Write) -> Result<Written, Refusal> {
        self.batch(&[write]).await.remove(0)
    }

    async fn sweep(&mut self, limit: u32) -> bool {
        run_sweep(&mut self.backend, self.limits, self.now, limit).await.unwrap()
    }

    /// Position and payload of all rows; gaps as their count.
    async fn rows(&self, recipient: u8) -> Vec<(u64, Row)> {
        let page = Page { after: 0, rows: 1000, bytes: usize::MAX };
        let rows = self.reads.rows(key(recipient), page).await.unwrap();
        rows.into_iter()
            .map(|row| match row.content {
                RowContent::Payload { head, body } => (row.seq, Row::Is([head, body].concat())),
                RowContent::Gap(lost) => (row.seq, Row::Lost(lost)),
            })
            .collect()
    }

    async fn session(&mut self, identity: u8) -> u64 {
        let answer = self.one(authenticate(identity, 1, 1, 1)).await.unwrap();
        let Written::Authenticated(session) = answer else { panic!("{answer:?}") };
        session.session
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Row {
    Is(Vec<u8>),
    Lost(u32),
}

fn is(payload: &[u8]) -> Row {
    Row::Is(payload.to_vec())
}

fn key(seed: u8) -> IdentityKey {
    IdentityKey::new([seed; 32])
}

fn channel(seed: u8) -> Channel {
    (seed > 0).then(|| ChannelId::new([seed; 16]))
}

fn authenticate(identity: u8, incarnation: u64, instance: u8, attempt: u64) -> Write {
    Write::Authenticate(Authenticate {
        identity: key(identity),
        incarnation,
        instance: Instance::new([instance; 16]),
        attempt,
        admit: true,
    })
}

/// `to` gets `payload` from `from`; the digest is the payload.
fn enqueue(from: u8, to: u8, payload: &[u8]) -> Write {
    let mut digest = [0; 32];
    let len = payload.len().min(31);
    digest[..len].copy_from_slice(&payload[..len]);
    digest[31] = from;
    Write::Enqueue(Enqueue {
        recipient: key(to),
        sender: Sender::from(&key(from)),
        channel: channel(0),
        payload: Arc::from(payload),
        digest,
        ttl_secs: 0,
    })
}

fn multicast(from: u8, session: u64, counter: u64, to: &[u8], body: &[u8]) -> Multicast {
    let deliver = |to: &u8| Delivery {
        recipient: key(*to),
        prefix: Arc::from([*to].as_slice()),
        include_body: true,
    };
    Multicast {
        sender: key(from),
        session,
        id: SendId { incarnation: 1, counter },
        request: [u8::try_from(counter).unwrap(); 32],
        deliveries: to.iter().map(deliver).collect(),
        body: Arc::from(body),
        channel: channel(0),
        ttl_secs: 0,
    }
}

fn ack(identity: u8, session: u64, up_to: u64) -> Write {
    Write::Ack(Ack { identity: key(identity), session, up_to })
}

fn remove(recipient: u8, seqs: &[u64]) -> Write {
    Write::Remove(Remove { recipient: key(recipient), seqs: seqs.to_vec() })
}
