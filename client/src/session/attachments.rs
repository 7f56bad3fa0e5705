//! Files beside messages: sealed as they arrive, kept by the node, opened as they are read.

use quicproquo_core::attachment::{AttachmentId, SealedFile};
use quicproquo_core::id::GroupId;

pub use download::Download;
pub use upload::Upload;

use super::Session;
use crate::error::SessionError;
use crate::store::StoredAttachment;

mod download;
mod upload;

/// A file that can be sent or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Its name, as its sender gave it.
    pub name: Option<String>,
    /// Its media type, as its sender gave it.
    pub mime: Option<String>,
    /// Its bytes.
    pub size: u64,
    file: SealedFile,
}

impl From<StoredAttachment> for Attachment {
    fn from(stored: StoredAttachment) -> Self {
        let StoredAttachment { file, name, mime } = stored;
        Self { id: file.id(), name, mime, size: file.size, file }
    }
}

impl Session {
    /// An attachment: one that a message in one of `groups` has, or without `groups` one of any
    /// group or that was uploaded here. A group that was left counts, as its history does.
    ///
    /// # Errors
    /// `AttachmentNotFound`.
    pub async fn attachment(
        &self,
        id: &AttachmentId,
        groups: Option<&(dyn Fn(&GroupId) -> bool + Sync)>,
    ) -> Result<Attachment, SessionError> {
        let mut found = match groups {
            Some(groups) => self.store.shared(self.owner, id, groups).await?,
            None => self.store.shared(self.owner, id, |_| true).await?,
        };
        if found.is_none() && groups.is_none() {
            found = self.store.uploaded(self.owner, id).await?;
        }
        found.map(Into::into).ok_or(SessionError::AttachmentNotFound)
    }
}
