//! Which rows are old enough to be deleted.

use super::{Owner, Store, StoreError, int, uint};

/// A clock that was wrong for a while must not keep entries for ever. One day, in milliseconds.
const AHEAD_MS: u64 = 24 * 3600 * 1000;
/// Events that one unit deletes at most.
const AT_ONCE: u32 = if cfg!(test) { 3 } else { 5_000 };

/// Events that can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OldEvents {
    /// All up to this position.
    pub(crate) up_to: u64,
    /// There are more.
    pub(crate) more: bool,
}

impl Store {
    /// The beginning of the log that was written before `before` (unix milliseconds): what is
    /// deleted never leaves a hole, so that a cursor behind it has lost nothing.
    pub(crate) async fn old_events(
        &self,
        owner: Owner,
        before: u64,
        now: u64,
    ) -> Result<Option<OldEvents>, StoreError> {
        let (before, ahead) = (int(before), int(now + AHEAD_MS));
        let old = |at: i64| at < before || at > ahead;
        let mut log: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT seq, occurred_at FROM events WHERE owner = ? ORDER BY seq LIMIT ?",
        )
        .bind(owner.0)
        .bind(AT_ONCE)
        .fetch_all(&self.reads)
        .await?;
        let end =
            log.last().filter(|_| log.len() >= AT_ONCE as usize).map_or(i64::MAX, |row| row.0);
        let received: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT seq, received_at FROM messages \
             WHERE owner = ? AND seq <= ? AND seal IS NULL ORDER BY seq LIMIT ?",
        )
        .bind(owner.0)
        .bind(end)
        .bind(AT_ONCE)
        .fetch_all(&self.reads)
        .await?;
        log.extend(received);
        log.sort_unstable();
        log.truncate(AT_ONCE as usize);
        let count = log.iter().take_while(|(_, at)| old(*at)).count();
        let more = count >= AT_ONCE as usize;
        Ok(log[..count].last().map(|(last, _)| OldEvents { up_to: uint(*last), more }))
    }

    /// The position up to which events are deleted.
    pub(crate) async fn forgotten_up_to(&self, owner: Owner) -> Result<u64, StoreError> {
        let up_to: Option<i64> =
            sqlx::query_scalar("SELECT forgotten_up_to FROM identities WHERE id = ?")
                .bind(owner.0)
                .fetch_optional(&self.reads)
                .await?;
        Ok(uint(up_to.unwrap_or(0)))
    }
}
