//! A copy of the queues at one moment, and what a restored copy must not do.

use std::path::Path;
use std::sync::Arc;

use fjall::{Keyspace, PersistMode, Readable, Snapshot};

use super::open::{DIRECTORY, MARK, Tasks, open_keyspaces, open_place};
use super::{LsmReads, Place, codec};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::mark::Mark;

/// How far positions jump when a copy is restored: none that was given out after the copy was
/// made is given out again.
const JUMP: u64 = 1 << 32;

/// What a copy holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Records of all kinds.
    pub(crate) records: u64,
    /// Bytes of their keys and values.
    pub(crate) bytes: u64,
}

impl LsmReads {
    /// Copies the queues as they are now into `data_dir`, which holds none yet. Writing goes on
    /// meanwhile. Blocks: not for a thread that serves.
    pub(crate) fn copy_to(&self, data_dir: &Path) -> Result<Copied, StoreError> {
        copy(&self.place, data_dir)
    }
}

fn copy(place: &Arc<Place>, data_dir: &Path) -> Result<Copied, StoreError> {
    let from = place.opened()?;
    let snapshot = from.db.snapshot();
    let path = data_dir.join(DIRECTORY);
    let to = open_keyspaces(&path, &place.clock, Tasks::Run)?;
    let mut copied = Copied::default();
    let spaces = [
        (&from.rows, &to.rows),
        (&from.bodies, &to.bodies),
        (&from.state, &to.state),
        (&from.index, &to.index),
        (&from.kept, &to.kept),
    ];
    for (from, to) in spaces {
        copy_space(&snapshot, from, to, &mut copied)?;
    }
    to.db.persist(PersistMode::SyncAll)?;
    drop(to);
    // A copy that cannot be opened is none.
    let (opened, commits, _) = open_place(&path, &place.clock, 0, Tasks::Run)?;
    drop(opened);
    Mark::create(&data_dir.join(MARK), commits)?;
    Ok(copied)
}

fn copy_space(
    snapshot: &Snapshot,
    from: &Keyspace,
    to: &Keyspace,
    copied: &mut Copied,
) -> Result<(), StoreError> {
    let mut ingestion = to.start_ingestion()?;
    for guard in snapshot.iter(from) {
        let (key, value) = guard.into_inner()?;
        copied.records += 1;
        copied.bytes += (key.len() + value.len()) as u64;
        ingestion.write(key, value)?;
    }
    Ok(ingestion.finish()?)
}

/// Makes a copied store fit to go on from: positions jump, so that none is given out twice, and
/// each queue says that rows may be missing.
pub(crate) fn revive(data_dir: &Path, clock: &Clock) -> Result<u64, StoreError> {
    let path = data_dir.join(DIRECTORY);
    let (opened, commits, _) = open_place(&path, clock, 0, Tasks::Run)?;
    let mut queues = 0;
    let mut batch = opened.db.batch().durability(Some(PersistMode::SyncAll));
    for guard in opened.state.prefix(codec::QUEUES) {
        let (key, value) = guard.into_inner()?;
        let mut queue = codec::get_queue(&value)?;
        queue.next_seq = queue.next_seq.saturating_add(JUMP);
        queue.lost = queue.lost.saturating_add(1);
        queues += 1;
        batch.insert(&opened.state, key, codec::put_queue(&queue));
    }
    batch.insert(&opened.state, codec::COMMITS, (commits + 1).to_be_bytes());
    batch.commit()?;
    drop(opened);
    Mark::create(&data_dir.join(MARK), commits + 1)?;
    Ok(queues)
}
