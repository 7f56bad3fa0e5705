//! What a session is asked about itself: answered by the store, without waiting for its task.

use quicproquo_core::id::{GroupId, MessageId};
use tokio::sync::watch;

use super::Session;
use crate::error::SessionError;
use crate::event::{Cursor, EventPage, SharedPage};
use crate::model::{
    GroupHealth, GroupInfo, History, HistoryQuery, Idempotency, Invitation, Message,
};

impl Session {
    /// All groups that are or were visible, the most recently changed first.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn groups(&self) -> Result<Vec<GroupInfo>, SessionError> {
        self.store.groups(self.owner, &self.identity).await
    }

    /// At which epoch each group is, also those that it does not tell of.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    #[cfg(feature = "simulation")]
    pub async fn epochs(&self) -> Result<std::collections::BTreeMap<GroupId, u64>, SessionError> {
        let records = self.store.group_records(self.owner).await?;
        Ok(records.into_iter().map(|(id, group)| (id, group.epoch)).collect())
    }

    /// One visible group.
    ///
    /// # Errors
    /// `GroupNotFound`.
    pub async fn group(&self, group: &GroupId) -> Result<GroupInfo, SessionError> {
        let group = self.store.group(self.owner, &self.identity, group).await?;
        group.ok_or(SessionError::GroupNotFound)
    }

    /// How a visible group does.
    ///
    /// # Errors
    /// `GroupNotFound`.
    pub async fn group_health(&self, group: &GroupId) -> Result<GroupHealth, SessionError> {
        let health = self.store.group_health(self.owner, &self.identity, group).await?;
        health.ok_or(SessionError::GroupNotFound)
    }

    /// Unanswered invitations, the oldest first.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn invitations(&self) -> Result<Vec<Invitation>, SessionError> {
        self.store.invitations(self.owner).await
    }

    /// Messages of a visible group as they are now, newest first.
    ///
    /// # Errors
    /// `GroupNotFound`, `CursorInvalid`.
    pub async fn history(
        &self,
        group: &GroupId,
        query: HistoryQuery,
    ) -> Result<History, SessionError> {
        self.group(group).await?;
        self.store.history(self.owner, &self.identity, group, query).await
    }

    /// Whether an idempotency key stands for an earlier request: its answer comes again, whatever
    /// the names in it have become.
    ///
    /// # Errors
    /// `Storage`.
    pub fn knows(&self, idempotency: Option<&Idempotency>) -> Result<bool, SessionError> {
        let Some(Idempotency { key, .. }) = idempotency else { return Ok(false) };
        Ok(self.store.idempotency(self.owner, key)?.is_some())
    }

    /// One message of a visible group as it is now; of several senders' messages with this id the oldest.
    ///
    /// # Errors
    /// `GroupNotFound`, `MessageNotFound`.
    pub async fn message(&self, group: &GroupId, id: &MessageId) -> Result<Message, SessionError> {
        self.group(group).await?;
        let message = self.store.message(self.owner, &self.identity, group, id, None).await?;
        message.ok_or(SessionError::MessageNotFound)
    }

    /// The same of an own message.
    ///
    /// # Errors
    /// `GroupNotFound`, `MessageNotFound`.
    pub async fn own_message(
        &self,
        group: &GroupId,
        id: &MessageId,
    ) -> Result<Message, SessionError> {
        self.group(group).await?;
        let own = &self.identity;
        let message = self.store.message(self.owner, own, group, id, Some(own)).await?;
        message.ok_or(SessionError::MessageNotFound)
    }

    /// Events after a cursor, oldest first, at most `limit` (1..=1000).
    ///
    /// # Errors
    /// `CursorExpired`, `CursorInvalid` when it lies beyond the tail.
    pub async fn events(&self, after: Cursor, limit: u32) -> Result<EventPage, SessionError> {
        self.shared_events(after, limit).await.map(Into::into)
    }

    /// The same for one of many who read along: what is new is there once for all of them.
    ///
    /// # Errors
    /// As [`Session::events`].
    pub async fn shared_events(
        &self,
        after: Cursor,
        limit: u32,
    ) -> Result<SharedPage, SessionError> {
        if let Some(page) = self.new_events(after, limit) {
            return Ok(page);
        }
        let now = self.clock.now_ms();
        let tail = *self.tail.borrow();
        let page = self.store.events(self.owner, &self.identity, after, tail, limit, now).await?;
        Ok(page.into())
    }

    /// The same as long as it is in memory; `None`: it is to be read.
    pub fn new_events(&self, after: Cursor, limit: u32) -> Option<SharedPage> {
        self.recent.page(after, limit, self.clock.now_ms())
    }

    /// Where the log begins: a cursor before this one has expired, and reading after this one gives
    /// the oldest event that is kept.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub async fn oldest(&self) -> Result<Cursor, SessionError> {
        Ok(Cursor(self.store.forgotten_up_to(self.owner).await?))
    }

    /// The newest position of the log; changes whenever events become readable.
    pub fn tail(&self) -> watch::Receiver<Cursor> {
        self.tail.clone()
    }
}
