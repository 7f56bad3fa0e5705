//! Named consumers: their cursors, and the deliveries that a cursor does not tell about.

use std::collections::HashSet;

use quicproquo_client::{Cursor, GroupId, Seals};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, Tx, from_db, groups_text, to_db};

/// Where a consumer is: everything up to the cursor is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CursorRow {
    /// The bot it reads for.
    pub(crate) bot_id: String,
    /// Its name.
    pub(crate) name: String,
    /// The groups that the token was limited to which made it.
    pub(crate) groups: Option<HashSet<GroupId>>,
    /// Everything up to here is acknowledged.
    pub(crate) cursor: Cursor,
}

/// What is known of a delivery beyond its consumer's cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryRow {
    /// Where it stands.
    pub(crate) state: DeliveryState,
    /// Which attempt is next, or was the last one.
    pub(crate) attempt: u32,
    /// The last delivery's id; empty when open.
    pub(crate) delivery_id: String,
    /// Open: not before; parked: since when. Unix milliseconds.
    pub(crate) at_ms: u64,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// Not handled yet.
    Open,
    /// Set aside.
    Parked,
    /// To be delivered again although the consumer's cursor has passed it.
    Replay,
}

impl DeliveryState {
    const ALL: [Self; 3] = [Self::Open, Self::Parked, Self::Replay];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Parked => "parked",
            Self::Replay => "replay",
        }
    }
}

/// What has changed of a consumer.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerChange {
    /// Where it is now.
    pub(crate) row: CursorRow,
    /// Deliveries by their event's cursor; `None` deletes.
    pub(crate) deliveries: Vec<(Cursor, Option<DeliveryRow>)>,
    /// Whether it is deleted.
    pub(crate) gone: bool,
}

/// A consumer as it was written.
#[derive(Debug)]
pub(crate) struct StoredConsumer {
    /// Where it is.
    pub(crate) row: CursorRow,
    /// Its deliveries by their event's cursor.
    pub(crate) deliveries: Vec<(Cursor, DeliveryRow)>,
}

/// Bot, name, groups, cursor, seal.
type ConsumerRow = (String, String, Option<String>, String, Option<Vec<u8>>);

type Row = (String, String, String, String, i64, String, i64);

impl Store {
    /// All consumers of all bots.
    pub(crate) async fn consumers(&self) -> Result<Vec<StoredConsumer>, StoreError> {
        let damaged = || StoreError::Damaged("consumers");
        let rows: Vec<ConsumerRow> = sqlx::query_as(
            "SELECT bot_id, name, groups, cursor, seal FROM consumers ORDER BY bot_id, name",
        )
        .fetch_all(&self.pool)
        .await?;
        let deliveries: Vec<Row> = sqlx::query_as(
            "SELECT bot_id, consumer, cursor, state, attempt, delivery_id, at_ms FROM deliveries
             ORDER BY bot_id, consumer",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut deliveries = deliveries.into_iter().peekable();
        let mut all = Vec::with_capacity(rows.len());
        for (bot_id, name, mut groups, cursor, seal) in rows {
            let cursor = cursor.parse().map_err(|_| damaged())?;
            let fields = fields(&bot_id, &name, groups.as_deref());
            if !self.seals.holds("consumers", &fields, seal.as_deref()) {
                super::changed("consumers", &name);
                // No token is limited to no group: only those that are not limited get on with it.
                groups = Some("[]".to_owned());
            }
            let groups = groups.map(|text| serde_json::from_str(&text)).transpose();
            let row = CursorRow { bot_id, name, groups: groups.map_err(|_| damaged())?, cursor };
            let mut own = Vec::new();
            while let Some(found) =
                deliveries.next_if(|found| found.0 == row.bot_id && found.1 == row.name)
            {
                own.push(delivery(found).ok_or(StoreError::Damaged("deliveries"))?);
            }
            all.push(StoredConsumer { row, deliveries: own });
        }
        Ok(all)
    }

    /// Writes what has changed of many consumers in one transaction. Those of bots that are gone
    /// are left out.
    pub(crate) async fn put_consumers(&self, changes: &[ConsumerChange]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for change in changes {
            if change.gone {
                delete(&mut tx, &change.row).await?;
                continue;
            }
            put(&mut tx, &change.row, &self.seals).await?;
            for (cursor, row) in &change.deliveries {
                put_delivery(&mut tx, &change.row, *cursor, row.as_ref()).await?;
            }
        }
        self.commit(tx).await
    }
}

async fn delete(tx: &mut Tx, row: &CursorRow) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM consumers WHERE bot_id = ? AND name = ?")
        .bind(&row.bot_id)
        .bind(&row.name)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Writes a consumer that comes with its bot.
pub(super) async fn insert(
    tx: &mut Tx,
    consumer: &StoredConsumer,
    seals: &Seals,
) -> Result<(), StoreError> {
    put(tx, &consumer.row, seals).await?;
    for (cursor, row) in &consumer.deliveries {
        put_delivery(tx, &consumer.row, *cursor, Some(row)).await?;
    }
    Ok(())
}

/// Writes a cursor, unless its bot is gone.
async fn put(tx: &mut Tx, row: &CursorRow, seals: &Seals) -> Result<(), StoreError> {
    let groups = groups_text(row.groups.as_ref());
    let seal = seals.bind("consumers", &fields(&row.bot_id, &row.name, groups.as_deref()));
    sqlx::query(
        "INSERT INTO consumers (bot_id, name, groups, cursor, seal)
         SELECT bot_id, ?, ?, ?, ? FROM bots WHERE bot_id = ?
         ON CONFLICT (bot_id, name) DO UPDATE SET cursor = excluded.cursor",
    )
    .bind(&row.name)
    .bind(groups)
    .bind(row.cursor.to_string())
    .bind(seal)
    .bind(&row.bot_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What says which tokens may go on with a consumer.
pub(super) fn fields<'a>(
    bot_id: &'a str,
    name: &'a str,
    groups: Option<&'a str>,
) -> [Option<&'a [u8]>; 3] {
    [Some(bot_id.as_bytes()), Some(name.as_bytes()), groups.map(str::as_bytes)]
}

async fn put_delivery(
    tx: &mut Tx,
    consumer: &CursorRow,
    cursor: Cursor,
    row: Option<&DeliveryRow>,
) -> Result<(), StoreError> {
    let Some(row) = row else {
        sqlx::query("DELETE FROM deliveries WHERE bot_id = ? AND consumer = ? AND cursor = ?")
            .bind(&consumer.bot_id)
            .bind(&consumer.name)
            .bind(cursor.to_string())
            .execute(&mut **tx)
            .await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT OR REPLACE INTO deliveries
         (bot_id, consumer, cursor, state, attempt, delivery_id, at_ms)
         SELECT bot_id, name, ?, ?, ?, ?, ? FROM consumers WHERE bot_id = ? AND name = ?",
    )
    .bind(cursor.to_string())
    .bind(row.state.as_str())
    .bind(i64::from(row.attempt))
    .bind(&row.delivery_id)
    .bind(to_db(row.at_ms))
    .bind(&consumer.bot_id)
    .bind(&consumer.name)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn delivery(
    (_, _, cursor, state, attempt, delivery_id, at_ms): Row,
) -> Option<(Cursor, DeliveryRow)> {
    let state = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state)?;
    let attempt = u32::try_from(attempt).ok()?;
    let row = DeliveryRow { state, attempt, delivery_id, at_ms: from_db(at_ms) };
    Some((cursor.parse().ok()?, row))
}
