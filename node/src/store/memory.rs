//! The store in maps: what the rules mean, without a database. For tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::ready;
use quicproquo_schemas::id::{IdentityKey, SendId};
use quicproquo_schemas::limits::MIN_CLAIM_LIFE_SECS;

use super::plan::{
    Effects, ExpiredRow, IdentityRow, Ids, Loaded, NewDigest, NewRow, NewSend, QueueRow, RowMeta,
    SendRow, Share, ShareKey, Shares, Strangers, Wanted,
};
use super::write::{Channel, ClaimName, Package, Sender, Sent};
use super::{
    Bytes, InviteInfo, Page, QueueBackend, QueueReads, QueuedRow, Read, RowContent, StoreError,
    StoredToken, SuiteStock, Totals,
};
use blobs::Blobs;

mod blobs;
mod directory;
mod operator;

#[derive(Debug, Clone)]
enum State {
    OneTime,
    LastResort,
    Spent,
}

#[derive(Debug, Clone)]
struct Kept {
    identity: IdentityKey,
    package: Package,
    state: State,
}

#[derive(Debug, Default, Clone)]
struct Tables {
    identities: HashMap<IdentityKey, IdentityRow>,
    queues: HashMap<IdentityKey, QueueRow>,
    rows: BTreeMap<(i64, u64), Arc<NewRow>>,
    bodies: HashMap<i64, (u64, Bytes)>,
    digests: HashMap<(i64, [u8; 32]), Arc<NewDigest>>,
    sends: HashMap<(IdentityKey, SendId), Arc<NewSend>>,
    shares: Shares,
    strangers: Strangers,
    packages: Vec<Kept>,
    hybrid_keys: HashMap<IdentityKey, Vec<u8>>,
    names: Vec<ClaimName>,
    /// Names of the deleted, and their heirs.
    tombstones: BTreeMap<String, Option<IdentityKey>>,
    registered: BTreeSet<IdentityKey>,
    deletions: BTreeMap<IdentityKey, Option<IdentityKey>>,
    bans: BTreeSet<IdentityKey>,
    bans_version: u64,
    invites: Vec<([u8; 32], InviteInfo)>,
    tokens: HashMap<[u8; 32], StoredToken>,
    blobs: Blobs,
}

/// Both ends: clones share the tables.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    tables: Arc<Mutex<Tables>>,
    before: Option<Box<Tables>>,
    ids: Ids,
}

impl Default for Memory {
    fn default() -> Self {
        Self { tables: Arc::default(), before: None, ids: Ids { queue: 1, body: 1 } }
    }
}

impl Memory {
    fn start(&mut self) {
        let before = Box::new(self.tables().clone());
        self.before = Some(before);
    }

    fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            *self.tables() = *before;
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn body(&self, id: Option<i64>) -> Bytes {
        id.map_or(Bytes::default(), |id| Bytes::clone(&self.bodies[&id].1))
    }

    fn release(&mut self, id: i64, count: u64) {
        let body = self.bodies.get_mut(&id).unwrap();
        body.0 -= count;
        if body.0 == 0 {
            self.bodies.remove(&id);
        }
    }

    fn page(
        &self,
        recipient: IdentityKey,
        page: Page,
        of: impl Fn(&NewRow) -> bool,
    ) -> Vec<QueuedRow> {
        let Some(queue) = self.queues.get(&recipient) else { return Vec::new() };
        let mut left = page.bytes;
        let mut rows = Vec::new();
        let range = (queue.id, page.after + 1)..=(queue.id, u64::MAX);
        for row in self.rows.range(range).map(|(_, row)| row).filter(|row| of(row)) {
            let size = usize::try_from(row.meta.size).unwrap();
            if rows.len() == page.rows as usize || (!rows.is_empty() && size > left) {
                break;
            }
            left = left.saturating_sub(size);
            let content = match row.meta.gap {
                0 => RowContent::Payload {
                    head: Bytes::clone(&row.head),
                    body: self.body(row.meta.body),
                },
                lost => RowContent::Gap(lost),
            };
            rows.push(QueuedRow { seq: row.seq, channel: row.meta.channel, content });
        }
        rows
    }

    /// What can be handed out: a claim passes over packages that end soon.
    fn stock(&self, identity: IdentityKey, now: u64) -> Vec<SuiteStock> {
        self.alive(identity, now.saturating_add(MIN_CLAIM_LIFE_SECS))
    }

    /// What lives at a time.
    fn alive(&self, identity: IdentityKey, at: u64) -> Vec<SuiteStock> {
        let mut suites: BTreeMap<u16, SuiteStock> = BTreeMap::new();
        for kept in &self.packages {
            if kept.identity != identity || kept.package.not_after < at {
                continue;
            }
            let ciphersuite = kept.package.ciphersuite;
            let new = SuiteStock { ciphersuite, one_time: 0, last_resort: false };
            match kept.state {
                State::OneTime => suites.entry(ciphersuite).or_insert(new).one_time += 1,
                State::LastResort => suites.entry(ciphersuite).or_insert(new).last_resort = true,
                State::Spent => {}
            }
        }
        suites.into_values().collect()
    }
}

impl QueueBackend for Memory {
    fn is_steady(&self) -> bool {
        true
    }

    fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.start();
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.before = None;
        Ok(())
    }

    async fn rollback(&mut self) {
        self.undo();
    }

    async fn load(&mut self, wanted: &Wanted, now: u64) -> Result<Loaded, StoreError> {
        let tables = self.tables();
        let mut loaded = Loaded::default();
        for key in &wanted.identities {
            loaded.identities.extend(tables.identities.get(key).map(|row| (*key, *row)));
        }
        for key in &wanted.queues {
            loaded.queues.extend(tables.queues.get(key).map(|row| (*key, *row)));
        }
        for key in &wanted.digests {
            if let Some(queue) = tables.queues.get(&key.0) {
                let found = tables.digests.get(&(queue.id, key.1));
                let found = found.filter(|new| new.expires_at > now);
                loaded.digests.extend(found.map(|new| (*key, new.seq)));
            }
        }
        for key in &wanted.sends {
            loaded.sends.extend(tables.sends.get(key).map(|send| (*key, send.row.clone())));
        }
        for (key, queue) in &loaded.queues {
            let up_to = wanted.ranges.get(key).copied().unwrap_or_default();
            let picks = wanted.picks.get(key);
            let found = tables
                .rows
                .range((queue.id, 0)..=(queue.id, u64::MAX))
                .map(|(_, row)| row)
                .filter(|row| row.seq <= up_to || picks.is_some_and(|p| p.contains(&row.seq)))
                .map(|row| (row.seq, row.meta));
            loaded.rows.insert(*key, found.collect());
        }
        Ok(loaded)
    }

    async fn load_shares(&mut self, wanted: &[ShareKey]) -> Result<Shares, StoreError> {
        let tables = self.tables();
        Ok(wanted.iter().filter_map(|key| Some((*key, *tables.shares.get(key)?))).collect())
    }

    async fn load_strangers(&mut self, wanted: &[Sender]) -> Result<Strangers, StoreError> {
        let tables = self.tables();
        Ok(wanted.iter().filter_map(|key| Some((*key, *tables.strangers.get(key)?))).collect())
    }

    async fn forget_kept(&mut self, identity: &IdentityKey, _: u32) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let queue = tables.queues.get(identity).map(|queue| queue.id);
        tables.sends.retain(|(sender, _), _| sender != identity);
        tables.digests.retain(|(of, _), _| Some(*of) != queue);
        Ok(false)
    }

    async fn load_expired(&mut self, now: u64, limit: u32) -> Result<Loaded, StoreError> {
        let tables = self.tables();
        let mut loaded = Loaded::default();
        let mut expired: Vec<_> = tables
            .rows
            .values()
            .filter(|row| row.meta.gap == 0 && row.meta.expires_at <= now)
            .collect();
        expired.sort_by_key(|row| row.meta.expires_at);
        expired.truncate(limit as usize);
        expired.sort_by_key(|row| (row.queue, row.seq));
        for row in expired {
            let (recipient, queue) =
                tables.queues.iter().find(|(_, queue)| queue.id == row.queue).unwrap();
            loaded.queues.insert(*recipient, *queue);
            let before = tables.rows.range((row.queue, 0)..(row.queue, row.seq)).next_back();
            loaded.expired.push(ExpiredRow {
                recipient: *recipient,
                seq: row.seq,
                meta: row.meta,
                before: before.map(|((_, seq), row)| (*seq, row.meta)),
            });
        }
        Ok(loaded)
    }

    async fn apply(&mut self, effects: Effects) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.identities.retain(|key, _| !effects.removed_identities.contains(key));
        tables.identities.extend(effects.identities);
        for (sender, change) in effects.strangers {
            let share = tables.strangers.entry(sender).or_default();
            *share = Share { rows: share.rows + change.rows, bytes: share.bytes + change.bytes };
            assert!(share.rows >= 0 && share.bytes >= 0, "{sender:?} {share:?}");
        }
        tables.queues.extend(effects.queues);
        for (key, change) in effects.shares {
            let share = tables.shares.entry(key).or_default();
            *share = Share { rows: share.rows + change.rows, bytes: share.bytes + change.bytes };
            if share.rows <= 0 {
                tables.shares.remove(&key);
            }
        }
        for old in effects.removed_rows {
            let row = tables.rows.remove(&(old.queue, old.seq)).unwrap();
            assert!(row.meta == old.meta || row.meta.gap > 0, "{old:?}");
        }
        for (old, lost) in effects.gaps {
            let row = tables.rows.get_mut(&(old.queue, old.seq)).unwrap();
            assert_eq!(row.meta, old.meta);
            let meta = RowMeta::of_gap(lost);
            let (queue, seq) = (old.queue, old.seq);
            *row = Arc::new(NewRow { queue, seq, meta, head: Bytes::default() });
        }
        for (id, count) in effects.released_bodies {
            tables.release(id, count);
        }
        for body in effects.bodies {
            assert!(tables.bodies.insert(body.id, (body.refs, body.data)).is_none());
        }
        for row in effects.rows {
            assert!(tables.rows.insert((row.queue, row.seq), Arc::new(row)).is_none());
        }
        for new in effects.digests {
            tables.digests.insert((new.queue, new.digest), Arc::new(new));
        }
        for send in effects.sends {
            tables.sends.insert((send.sender, send.id), Arc::new(send));
        }
        Ok(())
    }

    async fn purge(&mut self, now: u64, _: u32) -> Result<(), StoreError> {
        let mut tables = self.tables();
        tables.digests.retain(|_, new| new.expires_at > now);
        tables.sends.retain(|_, send| send.expires_at > now);
        Ok(())
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl QueueReads for Memory {
    fn rows(&self, recipient: IdentityKey, page: Page) -> Read<'_, Vec<QueuedRow>> {
        ready(Ok(self.tables().page(recipient, page, |_| true))).boxed()
    }

    fn channel_rows(
        &self,
        recipient: IdentityKey,
        channel: Channel,
        page: Page,
    ) -> Read<'_, Vec<QueuedRow>> {
        let of = |row: &NewRow| row.meta.gap > 0 || row.meta.channel == channel;
        ready(Ok(self.tables().page(recipient, page, of))).boxed()
    }

    fn send_result(&self, sender: IdentityKey, id: SendId, now: u64) -> Read<'_, Option<Sent>> {
        let tables = self.tables();
        let kept = tables.sends.get(&(sender, id)).filter(|send| send.expires_at > now);
        let kept: Option<SendRow> = kept.map(|send| send.row.clone());
        ready(Ok(kept.map(|row| row.sent))).boxed()
    }

    fn totals(&self) -> Read<'_, Totals> {
        let tables = self.tables();
        let mut totals = Totals { queues: tables.queues.len() as u64, ..Totals::default() };
        for queue in tables.queues.values() {
            totals.rows += queue.rows;
            totals.bytes += queue.bytes;
        }
        ready(Ok(totals)).boxed()
    }
}
