//! What others learn of what the person types and reads, and what they say of themselves.

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

use quicproquo_client::{GroupId, HistoryQuery, MessageId, Options, Outgoing, RelatesTo, Session};
use serde_json::json;
use tokio::time::Instant;

use super::{Backend, PAGE, said};
use crate::chat::model::{Readers, short};
use crate::chat::presence::Told;

impl Backend {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the person writes, now and then, or has stopped.
    pub(super) async fn writing(
        &self,
        session: &Session,
        group: GroupId,
        active: bool,
    ) -> Result<(), String> {
        if self.discreet || !self.told().writing(&group, active, Instant::now()) {
            return Ok(());
        }
        let body = json!({ "active": active });
        let message = Outgoing { kind: "typing".to_owned(), body, relates_to: None };
        session.send(group, message, Options::default()).await.map(drop).map_err(said)
    }

    /// Says up to which message the person has read.
    pub(super) async fn mark(
        &self,
        session: &Session,
        group: GroupId,
        newest: Option<MessageId>,
    ) -> Result<(), String> {
        let Some(id) = newest.filter(|_| !self.discreet) else { return Ok(()) };
        let relates_to = Some(RelatesTo { rel: "read".to_owned(), id });
        let message = Outgoing { kind: "read".to_owned(), body: json!({}), relates_to };
        session.send(group, message, Options::default()).await.map(drop).map_err(said)
    }

    /// How far others have read, as they have last said.
    pub(super) async fn readers(
        &self,
        session: &Session,
        group: &GroupId,
    ) -> Result<Readers, String> {
        let kinds = vec!["read".to_owned()];
        let query = HistoryQuery { kinds, limit: PAGE, ..HistoryQuery::default() };
        let page = session.history(group, query).await.map_err(said)?;
        let mut seen = HashSet::from([session.identity()]);
        let mut readers = Readers::new();
        // The newest comes first.
        for marker in page.items.into_iter().filter(|message| message.kind == "read") {
            if let Some(relation) = marker.relates_to
                && seen.insert(marker.sender)
            {
                let name = marker.sender_name.unwrap_or_else(|| short(&marker.sender));
                readers.entry(relation.id).or_default().push(name);
            }
        }
        Ok(readers)
    }
}
