//! Archives of bots on the wire.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quicproquo_client::ArchiveKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::bots::BotRecord;
use crate::problem::{Kind, Problem};

/// Shortest and longest passphrase, in bytes.
const PASSPHRASE: std::ops::RangeInclusive<usize> = 12..=1024;

/// A passphrase, never shown.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Passphrase(String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

impl Passphrase {
    fn key(self) -> Result<ArchiveKey, Problem> {
        let text = Zeroizing::new(self.0);
        if !PASSPHRASE.contains(&text.len()) {
            return Err(Problem::field("/passphrase", "12 to 1024 bytes"));
        }
        Ok(ArchiveKey::Passphrase(text))
    }
}

/// What to seal an archive under.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExport {
    /// Opens the archive again; 12 to 1,024 bytes. Whoever has both is the bot.
    #[schema(value_type = String, min_length = 12, max_length = 1024)]
    passphrase: Passphrase,
}

impl NewExport {
    /// For the engine.
    pub(crate) fn key(self) -> Result<ArchiveKey, Problem> {
        self.passphrase.key()
    }
}

/// A sealed archive.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct BotExport {
    /// The bot's id here.
    bot_id: String,
    /// Its name.
    name: String,
    /// Its identity: an Ed25519 key, 64 hexadecimal digits.
    identity: String,
    /// The archive, in Base64.
    archive: String,
}

impl BotExport {
    /// The archive of a bot.
    pub(crate) fn new(bot: &BotRecord, archive: &[u8]) -> Self {
        Self {
            bot_id: bot.bot_id.clone(),
            name: bot.name.clone(),
            identity: bot.identity.to_string(),
            archive: STANDARD.encode(archive),
        }
    }
}

/// An archive to import.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImport {
    /// The archive as it was exported, in Base64.
    archive: String,
    /// What it was sealed under.
    #[schema(value_type = String, min_length = 12, max_length = 1024)]
    passphrase: Passphrase,
}

impl NewImport {
    /// The archive and what opens it.
    pub(crate) fn parse(self) -> Result<(Vec<u8>, ArchiveKey), Problem> {
        let bytes = STANDARD.decode(&self.archive);
        let bytes = bytes.map_err(|_| Problem::new(Kind::ArchiveInvalid).at("/archive", "Base64"));
        Ok((bytes?, self.passphrase.key()?))
    }
}
