//! Reads beside the writer.

use futures::FutureExt;
use quicproquo_schemas::id::{ChannelId, IdentityKey, SendId};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::load::{damaged, decode_results, key, unsigned};
use super::script::Script;
use super::{GAP_CHANNEL, packages};
use crate::store::write::{Channel, Delivered};
use crate::store::{Page, QueuedRow, Read, Reads, RowContent, StoreError, StoredToken, SuiteStock};

/// The bytes of a page are counted inside the database, so that nothing beyond it is read.
const PAGE_HEAD: &str = "SELECT e.seq, e.channel, e.gap, h.data, b.data
    FROM (SELECT *, sum(size) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS total,
                 row_number() OVER (ORDER BY seq) AS position FROM (";
const PAGE_TAIL: &str = ")) AS e LEFT JOIN bodies AS h ON h.id = e.head
    LEFT JOIN bodies AS b ON b.id = e.body
    WHERE e.total <= ? OR e.position = 1 ORDER BY e.seq";
const ROWS: &str = "SELECT seq, channel, gap, size, head, body FROM entries
    WHERE queue = (SELECT id FROM queues WHERE recipient = ?) AND seq > ?";

/// The reading end.
#[derive(Debug, Clone)]
pub(crate) struct SqliteReads {
    pool: SqlitePool,
}

impl SqliteReads {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Ends all reading connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn fetch(&self, script: Script) -> Result<Vec<SqliteRow>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        script.fetch(&mut connection).await
    }

    async fn page(&self, mut script: Script, page: Page) -> Result<Vec<QueuedRow>, StoreError> {
        script.push(" ORDER BY seq LIMIT ?");
        script.bind(i64::from(page.rows));
        script.push(PAGE_TAIL);
        script.bind(i64::try_from(page.bytes).unwrap_or(i64::MAX));
        self.fetch(script).await?.iter().map(queued).collect()
    }
}

impl Reads for SqliteReads {
    fn rows(&self, recipient: IdentityKey, page: Page) -> Read<'_, Vec<QueuedRow>> {
        let mut script = Script::new(PAGE_HEAD);
        script.push(ROWS);
        script.bind(recipient.as_bytes().as_slice()).bind(page.after.cast_signed());
        self.page(script, page).boxed()
    }

    fn channel_rows(
        &self,
        recipient: IdentityKey,
        channel: Channel,
        page: Page,
    ) -> Read<'_, Vec<QueuedRow>> {
        let channel = channel.as_ref().map_or(&[][..], |channel| channel.as_bytes().as_slice());
        let mut script = Script::new(PAGE_HEAD);
        for (position, channel) in [channel, GAP_CHANNEL].into_iter().enumerate() {
            script.push(if position == 0 { "" } else { " UNION ALL " });
            script.push(ROWS);
            script.push(" AND channel = ?");
            script
                .bind(recipient.as_bytes().as_slice())
                .bind(page.after.cast_signed())
                .bind(channel);
        }
        self.page(script, page).boxed()
    }

    fn send_result(&self, sender: IdentityKey, id: SendId) -> Read<'_, Option<Vec<Delivered>>> {
        let mut script = Script::new(
            "SELECT results FROM sends WHERE sender = ? AND incarnation = ? AND counter = ?",
        );
        script
            .bind(sender.as_bytes().as_slice())
            .bind(id.incarnation.cast_signed())
            .bind(id.counter.cast_signed());
        async move {
            let rows = self.fetch(script).await?;
            rows.first().map(|row| Ok(decode_results(row.try_get(0)?))).transpose()
        }
        .boxed()
    }

    fn stock(&self, identity: IdentityKey, now: u64) -> Read<'_, Vec<SuiteStock>> {
        async move {
            let mut connection = self.pool.acquire().await?;
            let connection: &mut SqliteConnection = &mut connection;
            packages::stock(connection, identity, now).await
        }
        .boxed()
    }

    fn name(&self, name: String) -> Read<'_, Option<(IdentityKey, Vec<u8>)>> {
        let mut script = Script::new("SELECT identity, signature FROM names WHERE name = ?");
        script.bind(name);
        async move {
            let rows = self.fetch(script).await?;
            rows.first().map(|row| Ok((key(row, 0)?, row.try_get(1)?))).transpose()
        }
        .boxed()
    }

    fn names_of(&self, identity: IdentityKey) -> Read<'_, Vec<String>> {
        let mut script = Script::new("SELECT name FROM names WHERE identity = ? ORDER BY id");
        script.bind(identity.as_bytes().as_slice());
        async move { self.fetch(script).await?.iter().map(|row| Ok(row.try_get(0)?)).collect() }
            .boxed()
    }

    fn hybrid_key(&self, identity: IdentityKey) -> Read<'_, Option<Vec<u8>>> {
        let mut script = Script::new("SELECT public_key FROM hybrid_keys WHERE identity = ?");
        script.bind(identity.as_bytes().as_slice());
        async move {
            let rows = self.fetch(script).await?;
            rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
        }
        .boxed()
    }

    fn token(&self, hash: [u8; 32]) -> Read<'_, Option<StoredToken>> {
        let mut script = Script::new("SELECT identity, expires_at FROM tokens WHERE hash = ?");
        script.bind(hash.as_slice());
        async move {
            let rows = self.fetch(script).await?;
            rows.first()
                .map(|row| {
                    Ok(StoredToken { identity: key(row, 0)?, expires_at: unsigned(row, 1)? })
                })
                .transpose()
        }
        .boxed()
    }
}

fn queued(row: &SqliteRow) -> Result<QueuedRow, StoreError> {
    let channel: &[u8] = row.try_get(1)?;
    let gap: u32 = row.try_get(2)?;
    let head: Option<Vec<u8>> = row.try_get(3)?;
    let body: Option<Vec<u8>> = row.try_get(4)?;
    let channel = match channel.len() {
        0 | 1 => None,
        _ => Some(ChannelId::try_from(channel).map_err(|error| damaged(&error))?),
    };
    let content = if gap > 0 {
        RowContent::Gap(gap)
    } else {
        RowContent::Payload { head: head.unwrap_or_default(), body: body.unwrap_or_default() }
    };
    Ok(QueuedRow { seq: unsigned(row, 0)?, channel, content })
}
