//! The store in maps: what the rules mean, without a database. For tests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::ready;
use quicproquo_schemas::id::{IdentityKey, SendId};
use quicproquo_schemas::limits::MIN_CLAIM_LIFE_SECS;

use super::blob::{BlobChange, BlobView, Upload};
use super::plan::{
    Effects, ExpiredRow, IdentityRow, Ids, Loaded, NewDigest, NewRow, NewSend, QueueRow, RowMeta,
    SendRow, Share, ShareKey, Shares, Strangers, Wanted,
};
use super::write::{
    Admit, Channel, Claim, ClaimName, Deletion, Delivered, Package, Publish, PutBlob, PutHybridKey,
    ReleaseBlob, Sender,
};
use super::{
    Bans, BlobBytes, Bytes, DirectoryBackend, DirectoryReads, InviteInfo, Page, QueueBackend,
    QueueReads, QueuedRow, Read, Refusal, RowContent, StoreError, StoredToken, SuiteStock, Totals,
};
use blobs::Blobs;

mod blobs;
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

impl DirectoryBackend for Memory {
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

    async fn purge(&mut self, now: u64, _: u32) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        tables.packages.retain(|kept| kept.package.not_after >= now);
        tables.tokens.retain(|_, token| token.expires_at > now);
        tables.blobs.expire(now);
        Ok(false)
    }

    async fn publish(
        &mut self,
        publish: &Publish,
    ) -> Result<Result<Vec<SuiteStock>, Refusal>, StoreError> {
        let mut tables = self.tables();
        let known = |tables: &Tables, package: &Package| {
            tables.packages.iter().any(|kept| {
                kept.identity == publish.identity && kept.package.fingerprint == package.fingerprint
            })
        };
        let mut changed = tables.clone();
        for package in &publish.one_time {
            if !known(&changed, package) {
                let (identity, package) = (publish.identity, package.clone());
                changed.packages.push(Kept { identity, package, state: State::OneTime });
            }
        }
        let stock = changed.alive(publish.identity, publish.now);
        if stock.iter().any(|suite| suite.one_time > publish.limit) {
            return Ok(Err(Refusal::StockFull));
        }
        if let Some(package) = &publish.last_resort {
            changed.packages.retain(|kept| {
                kept.identity != publish.identity
                    || kept.package.ciphersuite != package.ciphersuite
                    || !matches!(kept.state, State::LastResort)
            });
            let (identity, package) = (publish.identity, package.clone());
            changed.packages.push(Kept { identity, package, state: State::LastResort });
        }
        *tables = changed;
        Ok(Ok(tables.stock(publish.identity, publish.now)))
    }

    async fn claim(&mut self, claim: &Claim) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut tables = self.tables();
        let mut claimed = Vec::new();
        for target in &claim.targets {
            let fits = |kept: &Kept| {
                kept.identity == target.identity
                    && kept.package.ciphersuite == claim.ciphersuite
                    && kept.package.not_after >= claim.alive_until
            };
            let one_time = tables
                .packages
                .iter_mut()
                .find(|kept| target.one_time && fits(kept) && matches!(kept.state, State::OneTime));
            let found = if let Some(kept) = one_time {
                kept.state = State::Spent;
                Some(kept.package.data.to_vec())
            } else {
                let mut kept = tables.packages.iter();
                kept.find(|kept| fits(kept) && matches!(kept.state, State::LastResort))
                    .map(|kept| kept.package.data.to_vec())
            };
            claimed.push(found.unwrap_or_default());
        }
        Ok(claimed)
    }

    async fn put_hybrid_key(&mut self, put: &PutHybridKey) -> Result<(), StoreError> {
        self.tables().hybrid_keys.insert(put.identity, put.key.clone());
        Ok(())
    }

    async fn claim_name(&mut self, claim: &ClaimName) -> Result<Result<(), Refusal>, StoreError> {
        let mut tables = self.tables();
        if let Some(owner) = tables.names.iter().find(|kept| kept.name == claim.name) {
            let own = owner.identity == claim.identity;
            return Ok(if own { Ok(()) } else { Err(Refusal::NameTaken) });
        }
        let heir = tables.tombstones.get(&claim.name);
        if heir.is_some_and(|heir| *heir != Some(claim.identity)) {
            return Ok(Err(Refusal::NameRetired));
        }
        let held = tables.names.iter().filter(|kept| kept.identity == claim.identity).count();
        if held >= claim.limit {
            return Ok(Err(Refusal::TooManyNames));
        }
        tables.tombstones.remove(&claim.name);
        tables.names.push(claim.clone());
        Ok(Ok(()))
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn admit(&mut self, admit: &Admit) -> Result<Result<(), Refusal>, StoreError> {
        Ok(self.tables().admit(admit))
    }

    async fn delete(&mut self, step: &Deletion) -> Result<(), StoreError> {
        self.tables().delete(step);
        Ok(())
    }

    async fn load_blob(
        &mut self,
        owner: &IdentityKey,
        sha256: &[u8; 32],
    ) -> Result<BlobView, StoreError> {
        Ok(self.tables().blobs.view(owner, sha256))
    }

    async fn apply_blob(
        &mut self,
        put: &PutBlob,
        _: Option<&Upload>,
        change: BlobChange<'_>,
    ) -> Result<(), StoreError> {
        self.tables().blobs.apply(put, &change);
        Ok(())
    }

    async fn release_blob(&mut self, release: &ReleaseBlob) -> Result<(), StoreError> {
        self.tables().blobs.release(&release.owner, &release.sha256);
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

    fn send_result(
        &self,
        sender: IdentityKey,
        id: SendId,
        now: u64,
    ) -> Read<'_, Option<Vec<Delivered>>> {
        let tables = self.tables();
        let kept = tables.sends.get(&(sender, id)).filter(|send| send.expires_at > now);
        let kept: Option<SendRow> = kept.map(|send| send.row.clone());
        ready(Ok(kept.map(|row| row.results))).boxed()
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

impl DirectoryReads for Memory {
    fn stock(&self, identity: IdentityKey, now: u64) -> Read<'_, Vec<SuiteStock>> {
        ready(Ok(self.tables().stock(identity, now))).boxed()
    }

    fn name(&self, name: String) -> Read<'_, Option<(IdentityKey, Vec<u8>)>> {
        let tables = self.tables();
        let owner = tables.names.iter().find(|kept| kept.name == name);
        ready(Ok(owner.map(|kept| (kept.identity, kept.signature.clone())))).boxed()
    }

    fn names_of(&self, identity: IdentityKey) -> Read<'_, Vec<String>> {
        let tables = self.tables();
        let names = tables.names.iter().filter(|kept| kept.identity == identity);
        ready(Ok(names.map(|kept| kept.name.clone()).collect())).boxed()
    }

    fn hybrid_key(&self, identity: IdentityKey) -> Read<'_, Option<Vec<u8>>> {
        ready(Ok(self.tables().hybrid_keys.get(&identity).cloned())).boxed()
    }

    fn token(&self, hash: [u8; 32]) -> Read<'_, Option<StoredToken>> {
        ready(Ok(self.tables().tokens.get(&hash).copied())).boxed()
    }

    fn is_registered(&self, identity: IdentityKey) -> Read<'_, bool> {
        ready(Ok(self.tables().registered.contains(&identity))).boxed()
    }

    fn bans(&self, known: Option<u64>) -> Read<'_, Option<Bans>> {
        let tables = self.tables();
        let version = tables.bans_version;
        let bans = Bans { version, identities: tables.bans.iter().copied().collect() };
        ready(Ok((known != Some(version)).then_some(bans))).boxed()
    }

    fn deletions(&self) -> Read<'_, Vec<IdentityKey>> {
        ready(Ok(self.tables().deletions.keys().copied().collect())).boxed()
    }

    fn blob_size(&self, sha256: [u8; 32]) -> Read<'_, Option<u64>> {
        ready(Ok(self.tables().blobs.bytes(&sha256).map(|data| data.len() as u64))).boxed()
    }

    fn blob_bytes(&self, sha256: [u8; 32], offset: u64, limit: u32) -> Read<'_, Option<BlobBytes>> {
        let tables = self.tables();
        let part = tables.blobs.bytes(&sha256).map(|bytes| {
            let start = bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
            let end = bytes.len().min(start + limit as usize);
            BlobBytes { data: bytes[start..end].to_vec(), size: bytes.len() as u64 }
        });
        ready(Ok(part)).boxed()
    }

    fn upload(&self, owner: IdentityKey, sha256: [u8; 32]) -> Read<'_, Option<Upload>> {
        ready(Ok(self.tables().blobs.view(&owner, &sha256).upload)).boxed()
    }
}
