//! One unit of work: what a handful of inputs change, made durable together.

use std::collections::{BTreeSet, HashMap, VecDeque};

use quicproquo_core::id::GroupId;
use quicproquo_core::suite::Suite;
use zeroize::Zeroizing;

use super::Reply;
use super::recent::Told;
use crate::error::SessionError;
use crate::model::Idempotency;
use crate::store::{Batch, Exported, IdempotencyRecord, IdempotencyTarget, StoredMessage};

type After = Box<dyn FnOnce(Result<(), SessionError>) + Send + Sync>;

/// An opened payload.
pub(super) struct Opened {
    pub(super) mls: Zeroizing<Vec<u8>>,
    /// It came in an envelope.
    pub(super) sealed: bool,
    /// SHA-256 of the payload as it came.
    pub(super) hash: [u8; 32],
    /// What the inbox may know it by, as long as the inbox was not asked.
    pub(super) unasked: Vec<[u8; 32]>,
}

/// Key packages whose private halves this unit writes.
pub(super) struct NewPackages {
    pub(super) one_time: Vec<Vec<u8>>,
    pub(super) last_resort: Option<Vec<u8>>,
    /// Those of their ciphersuite that nobody has claimed are forgotten.
    pub(super) replace: Option<Suite>,
}

/// Collects changes until they are committed.
pub(super) struct Unit {
    pub(super) batch: Batch,
    /// Our clock, unix milliseconds.
    pub(super) now_ms: u64,
    /// Groups in which something may go on: intents, waiting messages.
    pub(super) touched: BTreeSet<GroupId>,
    /// Groups whose record must be written.
    pub(super) records: BTreeSet<GroupId>,
    /// Buffered payloads whose time has come.
    pub(super) replay: VecDeque<Opened>,
    /// Payload hashes of this unit.
    pub(super) seen: std::collections::HashSet<[u8; 32]>,
    /// Own messages of this unit, by position.
    pub(super) messages: HashMap<u64, StoredMessage>,
    /// Intents that their callers have waited for long enough; answered once groups have gone on.
    pub(super) waited: Vec<u64>,
    /// Intents that this unit has ended.
    pub(super) settled: HashMap<u64, (GroupId, Result<(), SessionError>)>,
    /// Key packages to publish once their private halves are durable.
    pub(super) publish: Option<NewPackages>,
    /// The hybrid key was replaced.
    pub(super) upload_hybrid: bool,
    /// Rows came in, so there is something to acknowledge.
    pub(super) received: bool,
    /// The row of our queue that is being processed.
    pub(super) row: Option<u64>,
    /// What is remembered of the link has changed.
    pub(super) moved: bool,
    /// Events of this unit, when somebody reads along.
    pub(super) told: Option<Vec<Told>>,
    /// Bytes of all sends, once they were counted.
    pub(super) outbox_bytes: Option<usize>,
    /// The encoded contents of new messages, by position.
    pub(super) plain: HashMap<u64, Zeroizing<Vec<u8>>>,
    /// Who waits for all rows of the identity.
    pub(super) exports: Vec<Reply<Exported>>,
    keys: HashMap<String, ([u8; 32], IdempotencyTarget)>,
    after: Vec<After>,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unit({:?})", self.batch)
    }
}

impl Unit {
    pub(super) fn new(batch: Batch, now_ms: u64) -> Self {
        Self {
            batch,
            now_ms,
            touched: BTreeSet::new(),
            records: BTreeSet::new(),
            replay: VecDeque::new(),
            seen: std::collections::HashSet::new(),
            messages: HashMap::new(),
            waited: Vec::new(),
            settled: HashMap::new(),
            publish: None,
            upload_hybrid: false,
            received: false,
            row: None,
            moved: false,
            told: None,
            outbox_bytes: None,
            plain: HashMap::new(),
            exports: Vec::new(),
            keys: HashMap::new(),
            after: Vec::new(),
        }
    }

    /// Answers once the unit is durable; a failed unit answers with its error.
    pub(super) fn reply<T: Send + Sync + 'static>(
        &mut self,
        reply: Reply<T>,
        result: Result<T, SessionError>,
    ) {
        self.after.push(Box::new(move |committed| {
            let _ = reply.send(committed.and(result));
        }));
    }

    pub(super) fn answer(&mut self, committed: &Result<(), SessionError>) {
        for after in self.after.drain(..) {
            after(committed.clone());
        }
        if let Err(error) = committed {
            for reply in self.exports.drain(..) {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }

    /// The record of a group is written at the end, and what waits in the group may go on.
    pub(super) fn record_changed(&mut self, group: &GroupId) {
        self.records.insert(group.clone());
        self.touched.insert(group.clone());
    }

    /// What this key stood for earlier in this unit.
    pub(super) fn key(&self, key: &str) -> Option<([u8; 32], IdempotencyTarget)> {
        self.keys.get(key).copied()
    }

    /// Writes the idempotency record in this very unit.
    pub(super) fn remember(
        &mut self,
        owner: crate::store::Owner,
        idempotency: Option<Idempotency>,
        target: IdempotencyTarget,
    ) {
        if let Some(Idempotency { key, fingerprint }) = idempotency {
            self.keys.insert(key.clone(), (fingerprint, target));
            let created_at_ms = self.now_ms;
            self.batch
                .idempotency(owner, IdempotencyRecord { key, fingerprint, target, created_at_ms });
        }
    }
}
