//! Contents of messages, as the documentation shows them.

use utoipa::ToSchema;

/// The content of a text. It may have more fields of the sender's own.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes JSON that passes through")]
pub(crate) struct TextContent {
    /// The text, at most 64 KiB.
    #[schema(example = "hi", min_length = 1, max_length = 65_536)]
    body: String,
}

/// The content of a file to send. It may have more fields of the sender's own, a caption say.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes JSON that passes through")]
pub(crate) struct FileContent {
    /// The upload's id.
    #[schema(example = "1c0ffee01c0ffee01c0ffee01c0ffee0")]
    attachment_id: String,
    /// What to call it, instead of the upload's name.
    #[schema(required = false)]
    name: Option<String>,
}

/// The content of a reaction.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes JSON that passes through")]
pub(crate) struct ReactionContent {
    /// An emoji, or a text of at most 255 bytes.
    #[schema(example = "👍", min_length = 1, max_length = 255)]
    key: String,
    /// `false` takes the reaction back.
    #[schema(required = false)]
    active: Option<bool>,
}

/// The content of a notice that somebody is writing.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes JSON that passes through")]
pub(crate) struct TypingContent {
    /// Whether it is writing.
    #[schema(example = true)]
    active: bool,
}
