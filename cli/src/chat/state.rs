//! What the client remembers beside its session: the name, and what was read.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use quicproquo_client::GroupId;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::exit::{Exit, Failure};

/// A small file, written anew with each change.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// The name that was claimed.
    name: Option<String>,
    /// Of each group, the time up to which everything was shown, unix milliseconds.
    read: BTreeMap<String, u64>,
}

impl State {
    /// Reads the file, if there is one.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Data, format!("{}: {error}", path.display()))
        };
        let kept = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(wrong(&error)),
        };
        Ok(Self { path: path.to_owned(), kept: Mutex::new(kept) })
    }

    /// The name that was claimed.
    pub(super) fn name(&self) -> Option<String> {
        self.with(|kept| kept.name.clone())
    }

    /// Up to when everything of a group was shown.
    pub(super) fn read(&self, group: &GroupId) -> u64 {
        self.with(|kept| kept.read.get(&group.to_string()).copied().unwrap_or_default())
    }

    /// Remembers the name.
    pub(super) fn set_name(&self, name: &str) -> std::io::Result<()> {
        self.change(|kept| kept.name = Some(name.to_owned()))
    }

    /// Remembers up to when everything of a group was shown.
    pub(super) fn set_read(&self, group: &GroupId, up_to_ms: u64) -> std::io::Result<()> {
        self.change(|kept| {
            let read = kept.read.entry(group.to_string()).or_default();
            *read = up_to_ms.max(*read);
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A crash leaves the former file or the new one.
    fn change(&self, change: impl FnOnce(&mut Kept)) -> std::io::Result<()> {
        self.with(|kept| {
            change(kept);
            let dir = self.path.parent().unwrap_or(Path::new("."));
            let mut file = NamedTempFile::new_in(dir)?;
            file.write_all(&serde_json::to_vec(kept)?)?;
            file.as_file().sync_data()?;
            file.persist(&self.path).map(|_| ()).map_err(|error| error.error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_stays_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.json");
        let group = GroupId::from_slice(&[7; 16]).unwrap();
        let state = State::open(&path).unwrap();
        assert_eq!((state.name(), state.read(&group)), (None, 0));
        state.set_name("ada").unwrap();
        state.set_read(&group, 9).unwrap();
        state.set_read(&group, 5).unwrap();
        let again = State::open(&path).unwrap();
        assert_eq!((again.name().as_deref(), again.read(&group)), (Some("ada"), 9));
        std::fs::write(&path, "no json").unwrap();
        assert_eq!(State::open(&path).unwrap_err().exit, Exit::Data);
    }
}
