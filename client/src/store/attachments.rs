//! Attachments: those that were uploaded here have a row, those that were sent or received are in
//! their messages.

use quicproquo_core::attachment::{AttachmentId, SealedFile};
use quicproquo_core::id::GroupId;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::batch::Batch;
use super::{IdempotencyRecord, MessageContent, Owner, Store, StoreError, record};

/// What is known of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredAttachment {
    pub(crate) file: SealedFile,
    pub(crate) name: Option<String>,
    pub(crate) mime: Option<String>,
}

impl StoredAttachment {
    /// What is in a message of type `file`.
    fn of(content: &MessageContent) -> Option<Self> {
        let text = |field: &str| Some(content.body.get(field)?.as_str()?.to_owned());
        let file = content.sealed_file()?;
        Some(Self { file, name: text("name"), mime: text("mime") })
    }
}

impl Store {
    /// An attachment that was uploaded here.
    pub(crate) async fn uploaded(
        &self,
        owner: Owner,
        id: &AttachmentId,
    ) -> Result<Option<StoredAttachment>, StoreError> {
        let query = "SELECT record FROM attachments WHERE owner = ? AND attachment_id = ?";
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(query)
            .bind(owner.0)
            .bind(&id.as_bytes()[..])
            .fetch_optional(&self.reads)
            .await?;
        let row = record::named(owner.0, id.as_bytes());
        sealed.map(|sealed| record::open(&self.sealer, "attachments", &row, &sealed)).transpose()
    }

    /// An attachment as a message in one of these groups has it.
    pub(crate) async fn shared(
        &self,
        owner: Owner,
        id: &AttachmentId,
        groups: impl Fn(&GroupId) -> bool,
    ) -> Result<Option<StoredAttachment>, StoreError> {
        let query = "SELECT seq, group_id FROM messages WHERE owner = ? AND attachment = ?";
        let rows = sqlx::query(query)
            .bind(owner.0)
            .bind(&id.as_bytes()[..])
            .fetch_all(&self.reads)
            .await?;
        for row in rows {
            let group = GroupId::from_slice(row.try_get("group_id")?)
                .map_err(|error| StoreError::Row("messages", error.to_string()))?;
            if !groups(&group) {
                continue;
            }
            let message = self.message_at(owner, super::uint(row.try_get("seq")?)).await?;
            let found = message.and_then(|message| StoredAttachment::of(&message.content));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

impl Batch {
    /// An upload that the node has.
    pub(crate) fn attachment(
        &mut self,
        owner: Owner,
        attachment: &StoredAttachment,
        idempotency: Option<IdempotencyRecord>,
        at: u64,
    ) {
        let id = attachment.file.id();
        let row = record::named(owner.0, id.as_bytes());
        let sealed = record::seal(self.sealer(), "attachments", &row, attachment);
        self.put_attachment(owner, id.as_bytes(), sealed, at);
        if let Some(record) = idempotency {
            self.idempotency(owner, record);
        }
    }
}
