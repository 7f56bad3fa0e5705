//! Where the master key comes from, and how a file of it is replaced.
//!
//! A rotation writes the new key to `<file>.new`, seals all rows anew in one transaction, and then
//! renames. So whoever opens the database finds the key that fits in one of the two files.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::MasterKey;
use crate::error::OpenError;

/// Length of a master key, in bytes.
pub(super) const KEY: usize = 32;

pub(super) type Key = Zeroizing<[u8; KEY]>;

/// Reads the master key; with `create`, a file that is absent is made with mode 0600.
pub(super) fn read(from: &MasterKey, create: bool) -> Result<Key, OpenError> {
    match from {
        MasterKey::File(path) | MasterKey::Provided(path) => match std::fs::read_to_string(path) {
            Ok(text) => {
                warn_if_open(path);
                parse(from, &Zeroizing::new(text))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if create && matches!(from, MasterKey::File(_)) {
                    return make(path);
                }
                Err(OpenError::KeyMissing { key: from.to_string() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(OpenError::KeyInvalid { key: from.to_string() })
            }
            Err(source) => Err(OpenError::Io { path: path.clone(), source }),
        },
        MasterKey::Text { text, .. } => parse(from, text),
    }
}

/// Where a rotation keeps the key to come.
pub(super) fn next(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    file.with_file_name(name)
}

/// Makes a key in a file that only its owner reads.
pub(super) fn make(path: &Path) -> Result<Key, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let mut key = Zeroizing::new([0; KEY]);
    getrandom::fill(key.as_mut_slice()).map_err(|error| io(std::io::Error::other(error)))?;
    let mut file = private(path).map_err(io)?;
    let text = Zeroizing::new(hex::encode(*key));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    sync_folder(path)?;
    Ok(key)
}

/// Puts the key to come in the place of the former one.
pub(super) fn replace(path: &Path) -> Result<(), OpenError> {
    let next = next(path);
    std::fs::rename(&next, path).map_err(|source| OpenError::Io { path: next, source })?;
    sync_folder(path)
}

/// Forgets the key to come.
pub(super) fn discard(path: &Path) -> Result<(), OpenError> {
    let next = next(path);
    match std::fs::remove_file(&next) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(OpenError::Io { path: next, source }),
    }
}

fn parse(from: &MasterKey, text: &str) -> Result<Key, OpenError> {
    let mut key = Zeroizing::new([0; KEY]);
    hex::decode_to_slice(text.trim(), key.as_mut_slice())
        .map_err(|_| OpenError::KeyInvalid { key: from.to_string() })?;
    Ok(key)
}

/// A name is durable once its folder is.
fn sync_folder(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| OpenError::Io { path: folder.to_owned(), source })
}

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "others than its owner may read the master key");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_master_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let from = MasterKey::File(path.clone());
        assert!(matches!(read(&from, false), Err(OpenError::KeyMissing { .. })));
        let key = read(&from, true).unwrap();
        assert_eq!(*read(&from, false).unwrap(), *key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_others_provide_is_never_made_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credential");
        let provided = MasterKey::Provided(path.clone());
        assert!(matches!(read(&provided, true), Err(OpenError::KeyMissing { .. })));
        std::fs::write(&path, "ab".repeat(32)).unwrap();
        assert_eq!(*read(&provided, true).unwrap(), [0xAB; 32]);
        let text = |text: &str| MasterKey::text("the variable KEY", text.to_owned());
        assert_eq!(*read(&text(&format!(" {}\n", "cd".repeat(32))), true).unwrap(), [0xCD; 32]);
        let short = text("cdcdcd");
        let error = read(&short, true).unwrap_err();
        assert!(matches!(error, OpenError::KeyInvalid { .. }));
        for shown in [format!("{short:?}"), short.to_string(), error.to_string()] {
            assert!(shown.contains("the variable KEY") && !shown.contains("cdcd"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_text_is_no_key_and_what_does_not_read_is_told_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, [0xFF; 32]).unwrap();
        let error = read(&MasterKey::File(path), true).unwrap_err();
        assert!(matches!(error, OpenError::KeyInvalid { .. }), "{error}");
        let error = read(&MasterKey::File(dir.path().to_owned()), true).unwrap_err();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
    }
}
