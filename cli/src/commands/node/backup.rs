//! `qpq node backup` and `qpq node restore`.

use std::path::Path;

use quicproquo_node::Clock;
use serde_json::json;

use crate::config::Settings;
use crate::data_dir;
use crate::exit::Failure;
use crate::output::{say, say_json};

/// Copies the node's data; a node that runs on it does the work.
pub(crate) async fn backup(settings: &Settings, target: &Path, json: bool) -> Result<(), Failure> {
    let dir = data_dir::of_node(&settings.data_dir)?;
    let backup = quicproquo_node::backup(&dir, target, &Clock::system()).await?;
    if json {
        say_json(&json!({
            "target": target,
            "records": backup.records,
            "bytes": backup.bytes,
        }))
    } else {
        say(format_args!(
            "The backup is in {}: {} records of the queues, {} bytes, and the directory.",
            target.display(),
            backup.records,
            backup.bytes,
        ));
        Ok(())
    }
}

/// Brings a backup to the data directory.
pub(crate) async fn restore(settings: &Settings, from: &Path, json: bool) -> Result<(), Failure> {
    let restored = quicproquo_node::restore(from, &settings.data_dir, &Clock::system()).await?;
    if json {
        say_json(&json!({
            "data_dir": settings.data_dir,
            "queues": restored.queues,
            "packages": restored.packages,
        }))
    } else {
        say(format_args!(
            "The data is in {}. {} queues will tell their readers that rows may be missing, and \
             {} one-time key packages are not handed out again.",
            settings.data_dir.display(),
            restored.queues,
            restored.packages,
        ));
        Ok(())
    }
}
