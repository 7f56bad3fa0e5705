//! Attachments on the wire.

use quicproquo_client::Attachment;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A file that was uploaded. As it is, it can be the `content` of a message of type `file`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attachment)]
pub(crate) struct AttachmentDto {
    /// Its id.
    #[schema(example = "1c0ffee01c0ffee01c0ffee01c0ffee0")]
    attachment_id: String,
    /// Its name.
    #[schema(required = true, example = "report.pdf")]
    name: Option<String>,
    /// Its media type.
    #[schema(required = true, example = "application/pdf")]
    mime: Option<String>,
    /// Its bytes.
    #[schema(example = 48_213)]
    size: u64,
}

impl From<Attachment> for AttachmentDto {
    fn from(attachment: Attachment) -> Self {
        let Attachment { id, name, mime, size, .. } = attachment;
        Self { attachment_id: id.to_string(), name, mime, size }
    }
}

/// What to call an upload.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadParams {
    /// The file's name, unless `Content-Disposition` has it. At most 255 bytes.
    #[param(example = "report.pdf")]
    pub(crate) filename: Option<String>,
}
