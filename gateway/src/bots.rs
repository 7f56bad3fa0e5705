//! Bots: made, found, deleted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use quicproquo_client::clock::now_ms;
use quicproquo_client::{Archive, ArchiveKey, Client, GroupId, IdentityKey, LinkState, Session};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::audit::{Act, audit};
use crate::auth::{Grant, Scope, Token};
use crate::error::GatewayError;
use crate::idempotency::Once;
use crate::model::{BotCreated, BotDto, WantedBot, is_name};
use crate::problem::{Kind, Problem};
use crate::random;
use crate::state::AppState;
use crate::store::{BotRow, BotState, CursorRow, DeliveryRow, Store, StoreError, StoredConsumer};

/// Pause between tries to remove what the node has of a bot.
const REMOVE_AGAIN: Duration = Duration::from_secs(10);

/// A bot at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BotRecord {
    /// Its id.
    pub(crate) bot_id: String,
    /// The name it claimed.
    pub(crate) name: String,
    /// Its identity.
    pub(crate) identity: IdentityKey,
    /// When it was made, unix milliseconds.
    pub(crate) created_at_ms: u64,
}

impl From<BotRow> for BotRecord {
    fn from(row: BotRow) -> Self {
        let BotRow { bot_id, name, identity, created_at_ms, .. } = row;
        Self { bot_id, name, identity, created_at_ms }
    }
}

/// All bots at work.
#[derive(Debug, Default)]
pub(crate) struct Bots(RwLock<HashMap<String, Arc<BotRecord>>>);

impl Bots {
    /// Puts a bot to work.
    pub(crate) fn insert(&self, record: BotRecord) -> Arc<BotRecord> {
        let record = Arc::new(record);
        let mut bots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        bots.insert(record.bot_id.clone(), Arc::clone(&record));
        record
    }

    /// A bot by its id.
    pub(crate) fn find(&self, bot_id: &str) -> Option<Arc<BotRecord>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(bot_id).cloned()
    }

    /// A bot by its name or its identity in hexadecimal.
    pub(crate) fn called(&self, name: &str) -> Option<Arc<BotRecord>> {
        let bots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_it = |bot: &&Arc<BotRecord>| bot.name == name || bot.identity.to_string() == name;
        bots.values().find(is_it).cloned()
    }

    /// All bots, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<BotRecord>> {
        let bots = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = bots.values().cloned().collect();
        all.sort_by(|a, b| (a.created_at_ms, &a.bot_id).cmp(&(b.created_at_ms, &b.bot_id)));
        all
    }

    /// A bot at work has another name; one that was deleted meanwhile stays so.
    fn rename(&self, record: BotRecord) {
        let mut bots = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(bot) = bots.get_mut(&record.bot_id) {
            *bot = Arc::new(record);
        }
    }

    fn remove(&self, bot_id: &str) -> Option<Arc<BotRecord>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(bot_id)
    }
}

/// Creates a bot with its identity, name and first token.
///
/// # Errors
/// `NameTaken`, `RequestInvalid`, `RegistrationRefused`, `NodeUnreachable`,
/// `StorageUnavailable`; then nothing is left.
pub(crate) async fn create(
    state: &AppState,
    name: &str,
    invite: Option<&str>,
    once: &Once,
) -> Result<BotCreated, Problem> {
    let session = state.client.create(invite).await?;
    let row = BotRow {
        bot_id: random::id("bot_"),
        name: name.to_owned(),
        identity: session.identity(),
        state: BotState::Creating,
        created_at_ms: now_ms(),
    };
    let created = establish(state, &session, &row, once).await;
    if created.is_err() {
        // The next try may come before the node can be told.
        if let Err(error) = state.store.free_name(&row.bot_id).await {
            tracing::warn!(%error, "the name of a bot that came to nothing is not free yet");
        }
        remove(state, row.bot_id, row.identity).await;
    }
    created
}

async fn establish(
    state: &AppState,
    session: &Session,
    row: &BotRow,
    once: &Once,
) -> Result<BotCreated, Problem> {
    match state.store.reserve_bot(row).await {
        Err(StoreError::Exists) => return Err(Problem::new(Kind::NameTaken)),
        other => other?,
    }
    session.claim_name(&row.name).await?;
    let (token, grant) = first_token(row);
    let record = BotRecord::from(row.clone());
    let mut answer = BotCreated::new(&record, session, &grant.token_id);
    let replay = once.record(StatusCode::CREATED, &answer);
    state.store.activate_bot(&row.bot_id, &grant, replay.as_ref()).await?;
    audit(Act::BotCreated, &row.bot_id, Some(&grant.token_id));
    state.bots.insert(record);
    state.tokens.insert(grant);
    answer.reveal(&token);
    Ok(answer)
}

/// Changes a bot.
///
/// # Errors
/// `BotStopped`, `NameTaken`, `TooManyNames`, `NodeUnreachable`, `StorageUnavailable`. What was done
/// before that stays, and is done again harmlessly.
pub(crate) async fn change(
    state: &AppState,
    bot: &BotRecord,
    wanted: WantedBot,
    once: &Once,
) -> Result<BotDto, Problem> {
    let session = state.client.session(&bot.identity).ok_or(Problem::new(Kind::BotStopped))?;
    let WantedBot { name, policy, runs } = wanted;
    if runs {
        session.resume().await?;
    }
    if let Some(policy) = policy {
        session.set_invite_policy(policy).await?;
    }
    let mut record = bot.clone();
    if let Some(name) = name.filter(|name| *name != bot.name) {
        session.claim_name(&name).await?;
        record.name = name;
    }
    let dto = BotDto::new(&record, Some(&session)).with_policy(session.invite_policy().await?);
    let replay = once.record(StatusCode::OK, &dto);
    if record.name != bot.name {
        let BotRecord { bot_id, name, identity, .. } = &record;
        match state.store.rename_bot(bot_id, name, identity, replay.as_ref()).await {
            Err(StoreError::Exists) => return Err(Problem::new(Kind::NameTaken)),
            other => other?,
        }
        state.bots.rename(record);
    } else if let Some(replay) = replay {
        state.store.put_request(&replay).await?;
    }
    audit(Act::BotChanged, &bot.bot_id, None);
    Ok(dto)
}

/// A token with every scope.
fn first_token(row: &BotRow) -> (Token, Grant) {
    let token = Token::random();
    let grant = Grant {
        token_id: random::id("tok_"),
        bot_id: row.bot_id.clone(),
        label: "first".to_owned(),
        hash: token.hash(),
        scopes: Scope::ALL.into(),
        groups: None,
        created_at_ms: row.created_at_ms,
        expires_at_ms: None,
        login: None,
        revoked: CancellationToken::new(),
    };
    (token, grant)
}

/// What a gateway adds to the archive of a bot.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// Its name here, which need not be the first that it has claimed; not in archives of earlier
    /// versions.
    #[serde(default)]
    name: Option<String>,
    /// Cursors by the names of consumers.
    consumers: BTreeMap<String, String>,
    /// What their cursors do not say; not in archives of earlier versions.
    #[serde(default)]
    deliveries: BTreeMap<String, ConsumerNote>,
}

/// What of a consumer its cursor does not say.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ConsumerNote {
    /// The groups that its token was limited to.
    groups: Option<HashSet<GroupId>>,
    /// Deliveries by their event's cursor.
    rows: BTreeMap<String, DeliveryRow>,
}

impl Note {
    fn new(name: &str, consumers: Vec<StoredConsumer>) -> Self {
        let mut note = Self { name: Some(name.to_owned()), ..Self::default() };
        for StoredConsumer { row, deliveries } in consumers {
            let rows = deliveries.into_iter().map(|(cursor, row)| (cursor.to_string(), row));
            let more = ConsumerNote { groups: row.groups, rows: rows.collect() };
            note.consumers.insert(row.name.clone(), row.cursor.to_string());
            note.deliveries.insert(row.name, more);
        }
        note
    }

    fn consumers(mut self, bot_id: &str) -> Vec<StoredConsumer> {
        let consumers = std::mem::take(&mut self.consumers).into_iter();
        let read = consumers.filter_map(|(name, cursor)| {
            let ConsumerNote { groups, rows } = self.deliveries.remove(&name).unwrap_or_default();
            let rows = rows.into_iter().filter_map(|(at, row)| Some((at.parse().ok()?, row)));
            let deliveries = rows.collect();
            let (bot_id, cursor) = (bot_id.to_owned(), cursor.parse().ok()?);
            Some(StoredConsumer { row: CursorRow { bot_id, name, groups, cursor }, deliveries })
        });
        read.collect()
    }
}

/// Everything of a bot but its tokens, in a sealed archive; it stands still from now on.
///
/// # Errors
/// `BotStopped`, `StorageUnavailable`.
pub(crate) async fn export(
    state: &AppState,
    bot: &BotRecord,
    key: ArchiveKey,
) -> Result<Vec<u8>, Problem> {
    let note = Note::new(&bot.name, state.consumers.written(&bot.bot_id, &state.store).await?);
    let note = serde_json::to_vec(&note).unwrap_or_default();
    Ok(state.client.export_with(&bot.identity, key, note).await?)
}

/// Puts a bot to work that was exported elsewhere.
///
/// # Errors
/// `ArchiveInvalid`, `BotExists`, `NameTaken`, `StorageUnavailable`; then nothing is left.
pub(crate) async fn import(
    state: &AppState,
    archive: Archive,
    once: &Once,
) -> Result<BotCreated, Problem> {
    let identity = archive.identity();
    let note: Note = serde_json::from_slice(archive.note()).unwrap_or_default();
    let name = note.name.clone().filter(|name| is_name(name));
    let name = name.or_else(|| archive.name().map(str::to_owned)).ok_or_else(|| {
        Problem::new(Kind::ArchiveInvalid).detail("the identity in the archive has no name")
    })?;
    let bots = state.bots.all();
    if bots.iter().any(|bot| bot.identity == identity) {
        return Err(Problem::new(Kind::BotExists));
    }
    if bots.iter().any(|bot| bot.name == name) {
        return Err(Problem::new(Kind::NameTaken));
    }
    // Of an import that was cut off: its bot is not here, and it has never spoken.
    let silent = |session: Session| session.health().link == LinkState::Exported;
    if state.client.session(&identity).is_some_and(silent) {
        state.client.forget(&identity).await?;
    }
    let session = state.client.import(archive).await?;
    let (bot_id, created_at_ms) = (random::id("bot_"), now_ms());
    let row = BotRow { bot_id, name, identity, state: BotState::Active, created_at_ms };
    let consumers = note.consumers(&row.bot_id);
    let (token, grant) = first_token(&row);
    let record = BotRecord::from(row.clone());
    let mut answer = BotCreated::new(&record, &session, &grant.token_id);
    let replay = once.record(StatusCode::CREATED, &answer);
    let written = state.store.import_bot(&row, &grant, &consumers, replay.as_ref()).await;
    if let Err(error) = written {
        state.client.forget(&identity).await?;
        return Err(match error {
            // Of a bot that is being made or deleted.
            StoreError::Exists => Problem::new(Kind::NameTaken),
            error => error.into(),
        });
    }
    audit(Act::BotImported, &row.bot_id, Some(&grant.token_id));
    state.consumers.adopt(consumers);
    state.bots.insert(record);
    state.tokens.insert(grant);
    session.resume().await?;
    answer.reveal(&token);
    Ok(answer)
}

/// Deletes a bot: its tokens stop at once, then its identity goes.
///
/// # Errors
/// `StorageUnavailable`, with nothing deleted. What is left is deleted later.
pub(crate) async fn delete(
    state: &AppState,
    record: &BotRecord,
    once: &Once,
) -> Result<(), Problem> {
    let replay = once.record(StatusCode::NO_CONTENT, &());
    state.store.retire_bot(&record.bot_id, replay.as_ref()).await?;
    audit(Act::BotDeleted, &record.bot_id, None);
    state.bots.remove(&record.bot_id);
    for grant in state.tokens.of_bot(&record.bot_id) {
        state.tokens.revoke(&grant);
    }
    state.webhooks.forget_bot(&record.bot_id);
    state.consumers.forget_bot(&record.bot_id);
    remove(state, record.bot_id.clone(), record.identity).await;
    Ok(())
}

/// Reads all bots; those whose making or deletion was interrupted are the second part.
///
/// # Errors
/// `Database`.
pub(crate) async fn load(store: &Store) -> Result<(Bots, Vec<BotRow>), StoreError> {
    let bots = Bots::default();
    let (active, rest): (Vec<_>, Vec<_>) =
        store.bots().await?.into_iter().partition(|row| row.state == BotState::Active);
    for row in active {
        bots.insert(row.into());
    }
    Ok((bots, rest))
}

/// Removes the identity of a bot that is at work no more, at the node and here, and then its row.
/// While the node cannot be reached that goes on in the background, and after a restart.
pub(crate) async fn remove(state: &AppState, bot_id: String, identity: IdentityKey) {
    if try_remove(&state.store, &state.client, &bot_id, &identity).await {
        return;
    }
    let (store, client) = (state.store.clone(), state.client.clone());
    let stopping = state.stopping.clone();
    state.tasks.spawn(async move {
        while stopping.run_until_cancelled(tokio::time::sleep(REMOVE_AGAIN)).await.is_some() {
            if try_remove(&store, &client, &bot_id, &identity).await {
                return;
            }
        }
    });
}

async fn try_remove(store: &Store, client: &Client, bot_id: &str, identity: &IdentityKey) -> bool {
    if let Err(error) = client.delete(identity).await {
        tracing::warn!(%error, "the identity of a bot cannot be deleted yet");
        tracing::debug!(bot = bot_id, "stays for now");
        return false;
    }
    if let Err(error) = store.forget_bot(bot_id).await {
        tracing::warn!(%error, "a deleted bot cannot be forgotten yet");
        tracing::debug!(bot = bot_id, "stays for now");
        return false;
    }
    true
}

impl From<(&std::path::Path, StoreError)> for GatewayError {
    fn from((folder, error): (&std::path::Path, StoreError)) -> Self {
        Self::Database { path: folder.join("gateway.db"), detail: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_are_listed_by_age() {
        let bots = Bots::default();
        for number in [2_u8, 1, 3] {
            bots.insert(BotRecord {
                bot_id: format!("bot_{number}"),
                name: format!("n{number}"),
                identity: IdentityKey::from_slice(&[number; 32]).unwrap(),
                created_at_ms: u64::from(number),
            });
        }
        bots.remove("bot_2");
        let ids: Vec<_> = bots.all().iter().map(|bot| bot.bot_id.clone()).collect();
        assert_eq!(ids, ["bot_1", "bot_3"]);
        assert!(bots.find("bot_2").is_none());
    }
}
