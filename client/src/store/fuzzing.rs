//! What the fuzzers of the database drive: sealed values, records, keys, and archives on their way
//! into another database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use super::seal::Sealer;
use super::{Exported, GroupRecord, IntentRecord, MessageContent, OutboxRecord, Store, key};
use crate::config::MasterKey;
use crate::event::{Cursor, EventData};

/// What the sealed values of the corpus are sealed under.
pub(super) const MASTER: [u8; 32] = [7; 32];

/// A sealed value: it opens only where it was put, and only word for word.
///
/// # Panics
/// When it opens otherwise.
pub fn sealed_row(sealed: &[u8]) {
    let sealer = Sealer::new(&MASTER);
    let Ok(plain) = sealer.open("groups", b"row", sealed) else { return };
    assert!(sealer.open("groups", b"another", sealed).is_err());
    assert!(sealer.open("events", b"row", sealed).is_err());
    assert!(Sealer::new(&[8; 32]).open("groups", b"row", sealed).is_err());
    let mut changed = sealed.to_vec();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    assert!(sealer.open("groups", b"row", &changed).is_err());
    record(&plain);
}

/// What a sealed value holds: a record of any kind that reads can be written and read again.
pub fn record(plain: &[u8]) {
    reads::<GroupRecord>(plain);
    reads::<OutboxRecord>(plain);
    reads::<IntentRecord>(plain);
    reads::<MessageContent>(plain);
    reads::<EventData>(plain);
}

fn reads<T: DeserializeOwned + Serialize>(plain: &[u8]) {
    let Ok(record) = ciborium::from_reader::<T, _>(plain) else { return };
    let mut bytes = Vec::new();
    ciborium::into_writer(&record, &mut bytes).expect("our records have a CBOR form");
    assert!(ciborium::from_reader::<T, _>(bytes.as_slice()).is_ok(), "what we write reads");
}

/// The text of a master key: 64 hexadecimal digits and white space around them, and nothing else.
///
/// # Panics
/// When anything else is taken.
pub fn master_key(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let from = MasterKey::text("a fuzzer", text.to_owned());
    let trimmed = text.trim();
    let good = trimmed.len() == 64 && trimmed.bytes().all(|byte| byte.is_ascii_hexdigit());
    match key::read(&from, true) {
        Ok(key) => assert!(good && hex::encode(*key) == trimmed.to_ascii_lowercase()),
        Err(_) => assert!(!good, "a key is refused"),
    }
}

/// A database that archives are imported into.
#[derive(Debug)]
pub struct Importer {
    runtime: Runtime,
    store: Arc<Store>,
}

impl Importer {
    /// Makes a database in an empty directory.
    ///
    /// # Panics
    /// When that fails.
    pub fn open(dir: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let key = MasterKey::File(dir.join("master.key"));
        let store = runtime
            .block_on(Store::open(dir, &key, Duration::MAX, 0, crate::config::Sync::Full))
            .expect("a store");
        Self { runtime, store }
    }

    /// What an archive holds once it is opened. It comes in as a whole or not at all, and what has
    /// come in reads.
    ///
    /// # Panics
    /// When it does not.
    pub fn import(&self, plain: &[u8]) {
        let Ok(exported) = ciborium::from_reader::<Exported, _>(plain) else { return };
        self.runtime.block_on(async {
            let store = &self.store;
            if let Ok(record) = store.import(exported).await {
                let (owner, identity) = (record.owner, record.identity.key());
                let _ = store.group_records(owner).await;
                let _ = store.open_intents(owner, &mut Vec::new()).await;
                let _ = store.outbox(owner, &mut Vec::new()).await;
                let _ = store.buffered(owner, &mut Vec::new()).await;
                let tail = Cursor(u64::MAX);
                let _ = store.events(owner, &identity, Cursor::default(), tail, 100, 0).await;
                store.delete_identity(owner).await.expect("what came can go");
            }
            let left = store.identities().await.expect("the database reads");
            assert!(left.is_empty(), "half of an archive came in");
        });
    }
}
