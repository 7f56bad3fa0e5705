//! What is deleted because it is old, too much, or of no use any more.

use quicproquo_core::id::GroupId;

use super::{Batch, Owner};

/// Own messages that are on their way stay, and those whose event is kept.
const MESSAGES: &str = "DELETE FROM messages WHERE owner = ? AND seq <= ? \
     AND state <> '{\"state\":\"queued\"}' AND NOT EXISTS (SELECT 1 FROM events \
     WHERE events.owner = messages.owner AND events.message = messages.seq \
     AND events.message <> events.seq)";

impl Batch {
    /// Deletes the events up to a position, and the messages that they were about.
    pub(crate) fn forget_events(&mut self, owner: Owner, up_to: u64) {
        self.rewrites = true;
        let values = || vec![owner.0.into(), up_to.into()];
        self.add("DELETE FROM events WHERE owner = ? AND seq <= ?", values());
        self.add(MESSAGES, values());
        self.add(
            "UPDATE identities SET forgotten_up_to = ? WHERE id = ?",
            vec![up_to.into(), owner.0.into()],
        );
    }

    /// Deletes notices of who was writing before this (unix milliseconds), and own ones that no
    /// request can ask for any more.
    pub(crate) fn forget_typing(&mut self, owner: Owner, before: u64, own_before: u64) {
        self.rewrites = true;
        self.add(
            "DELETE FROM events WHERE owner = ? AND kind = 'member.typing' AND occurred_at < ?",
            vec![owner.0.into(), before.into()],
        );
        self.add(
            "DELETE FROM messages WHERE owner = ? AND class = 8 AND received_at < ? \
             AND state <> '{\"state\":\"queued\"}'",
            vec![owner.0.into(), own_before.into()],
        );
    }

    /// Deletes payloads set aside before this (unix milliseconds), and the oldest of those that
    /// together have more than `most` bytes.
    pub(crate) fn forget_set_aside(&mut self, owner: Owner, before: u64, most: u64) {
        self.add(
            "DELETE FROM set_aside WHERE owner = ? AND created_at < ?",
            vec![owner.0.into(), before.into()],
        );
        self.add(
            "DELETE FROM set_aside WHERE owner = ? AND hash IN (SELECT hash FROM (SELECT hash, \
             SUM(LENGTH(payload)) OVER (ORDER BY created_at DESC, hash) AS bytes \
             FROM set_aside WHERE owner = ?) WHERE bytes > ?)",
            vec![owner.0.into(), owner.0.into(), most.into()],
        );
    }

    /// Deletes the events of a hidden group up to a number.
    pub(crate) fn forget_hidden(&mut self, owner: Owner, group: &GroupId, up_to: u64) {
        self.add(
            "DELETE FROM hidden_events WHERE owner = ? AND group_id = ? AND n <= ?",
            vec![owner.0.into(), group.as_bytes().into(), up_to.into()],
        );
    }

    /// What this unit deletes leaves the write-ahead log too, once it is committed.
    pub(crate) fn scrub(&mut self) {
        self.scrub = true;
    }

    pub(in crate::store) fn scrubs(&self) -> bool {
        self.scrub
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, Row as _};

    use super::*;

    /// Without the index each old message would read all events.
    #[tokio::test]
    async fn deleting_messages_looks_events_up() {
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        crate::store::MIGRATIONS.run(&mut connection).await.unwrap();
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {MESSAGES}"));
        let plan = sqlx::query(explain).bind(1).bind(1).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get::<String, _>("detail")).collect();
        assert!(plan.iter().any(|step| step.contains("events_of_own")), "{plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN")), "{plan:#?}");
    }
}
