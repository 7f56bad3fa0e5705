//! The rules of the store, as tests that every backend passes.

mod accounts;
mod blobs;
mod counting;
mod directory;
mod queues;
mod sends;
mod strangers;
mod sweeping;
mod tails;

use std::sync::Arc;

use quicproquo_schemas::id::{ChannelId, IdentityKey, Instance, SendId};

use super::directory::DirectoryHalf;
use super::plan::{QueueHalf, QueueLimits};
use super::write::{
    Ack, Authenticate, Channel, Delivery, Enqueue, Multicast, QueueWrite, QueueWritten, Remove,
    Sender,
};
use super::{
    DirectoryBackend, DirectoryReads, Page, QueueBackend, QueueReads, Refusal, RowContent, lsm,
    sqlite,
};
use crate::clock::Clock;
use crate::config::Sync;
use crate::delivery::order::Order;
use crate::writer::Half;

type Answers<H> = Vec<Result<<H as Half>::Written, Refusal>>;

const DAY: u64 = 24 * 3600;

/// One half of a store under test, with its clock.
struct Rig<H, R: ?Sized> {
    half: H,
    reads: Arc<R>,
    now: u64,
}

type QueueRig<B> = Rig<QueueHalf<B>, dyn QueueReads>;
type DirectoryRig<B> = Rig<DirectoryHalf<B>, dyn DirectoryReads>;

/// Runs a test on each backend of the queues.
macro_rules! on_each_queue_backend {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let memory = crate::store::memory::Memory::default();
                super::$name(super::queue_rig(memory.clone(), std::sync::Arc::new(memory))).await;
            })*
        }
        mod lsm {
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(super::lsm_rig(&dir)).await;
            })*
        }
    };
}
use on_each_queue_backend;

/// Runs a test on each backend of the directory.
macro_rules! on_each_directory_backend {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let memory = crate::store::memory::Memory::default();
                let reads = std::sync::Arc::new(memory.clone());
                super::$name(super::directory_rig(memory, reads)).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(super::sqlite_rig(&dir).await).await;
            })*
        }
    };
}
use on_each_directory_backend;

fn queue_rig<B>(backend: B, reads: Arc<dyn QueueReads>) -> QueueRig<B> {
    let limits = QueueLimits {
        rows: 100,
        bytes: 10_000,
        ttl_secs: u32::try_from(30 * DAY).unwrap(),
        pair_rows: 100,
        stranger_rows: 1_000,
        stranger_bytes: 1_000_000,
    };
    Rig { half: QueueHalf { backend, limits, tails: Arc::default() }, reads, now: 1_000_000 }
}

fn lsm_rig(dir: &tempfile::TempDir) -> QueueRig<lsm::Lsm> {
    let queues = lsm::open(dir.path(), &Clock::from_fn(|| 1_000_000), Sync::Full).unwrap();
    queue_rig(queues.writer, Arc::new(queues.reads))
}

fn directory_rig<B>(backend: B, reads: Arc<dyn DirectoryReads>) -> DirectoryRig<B> {
    Rig { half: DirectoryHalf { backend }, reads, now: 1_000_000 }
}

async fn sqlite_rig(dir: &tempfile::TempDir) -> DirectoryRig<sqlite::Sqlite> {
    let database = sqlite::open(dir.path()).await.unwrap();
    directory_rig(database.writer, Arc::new(database.reads))
}

impl<H: Half, R: ?Sized> Rig<H, R> {
    async fn batch(&mut self, batch: &[H::Write]) -> Answers<H> {
        self.half.run(batch, self.now).await.unwrap().answers
    }

    async fn one(&mut self, write: H::Write) -> Result<H::Written, Refusal> {
        self.batch(&[write]).await.remove(0)
    }

    async fn sweep(&mut self, limit: u32) -> bool {
        self.half.sweep(self.now, limit).await.unwrap().more
    }
}

impl<B: QueueBackend> QueueRig<B> {
    /// Position and payload of all rows; gaps as their count.
    async fn rows(&self, recipient: u8) -> Vec<(u64, Row)> {
        let page = Page { after: 0, rows: 1000, bytes: usize::MAX };
        let rows = self.reads.rows(key(recipient), page).await.unwrap();
        rows.into_iter()
            .map(|row| match row.content {
                RowContent::Payload { head, body } => (row.seq, Row::Is([&*head, &*body].concat())),
                RowContent::Gap(lost) => (row.seq, Row::Lost(lost)),
            })
            .collect()
    }

    async fn session(&mut self, identity: u8) -> u64 {
        let answer = self.one(authenticate(identity, 1, 1, 1)).await.unwrap();
        let QueueWritten::Authenticated(session) = answer else { panic!("{answer:?}") };
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

fn authenticate(identity: u8, incarnation: u64, instance: u8, attempt: u64) -> QueueWrite {
    QueueWrite::Authenticate(Authenticate {
        identity: key(identity),
        incarnation,
        instance: Instance::new([instance; 16]),
        attempt,
    })
}

/// `to` gets `payload` from `from`; the digest is the payload.
fn enqueue(from: u8, to: u8, payload: &[u8]) -> QueueWrite {
    let mut digest = [0; 32];
    let len = payload.len().min(15);
    digest[..len].copy_from_slice(&payload[..len]);
    digest[15] = from;
    QueueWrite::Enqueue(Enqueue {
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
        banned: false,
    };
    let id = SendId { incarnation: 1, counter };
    let order: Arc<Order> = Arc::default();
    Multicast {
        sender: key(from),
        session,
        id,
        request: [u8::try_from(counter).unwrap(); 32],
        deliveries: to.iter().map(deliver).collect(),
        body: Arc::from(body),
        channel: channel(0),
        ttl_secs: 0,
        turn: order.enter(id).unwrap(),
    }
}

fn ack(identity: u8, session: u64, up_to: u64) -> QueueWrite {
    QueueWrite::Ack(Ack { identity: key(identity), session, up_to })
}

fn remove(recipient: u8, seqs: &[u64]) -> QueueWrite {
    QueueWrite::Remove(Remove { recipient: key(recipient), seqs: seqs.to_vec() })
}
