//! Looks for what was said in the files of the node.

use std::fs;
use std::path::Path;

use crate::exit::Failure;

/// Searches all files of a directory byte by byte and says what was found.
pub(crate) fn search(dir: &Path, words: &[&str]) -> Result<String, Failure> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(dir).map_err(Failure::other)? {
        let path = entry.map_err(Failure::other)?.path();
        if !path.is_file() {
            continue;
        }
        let content = fs::read(&path).map_err(Failure::other)?;
        files += 1;
        bytes += content.len();
        for word in words {
            if content.windows(word.len()).any(|window| window == word.as_bytes()) {
                return Err(Failure::other(format!("{} contains {word:?}", path.display())));
            }
        }
    }
    Ok(format!("{files} files, {bytes} bytes; none of them contains a word that was said"))
}

#[cfg(test)]
mod tests {
    use super::search;

    #[test]
    fn words_are_found_and_their_absence_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.db"), b"xx the secret words xx").unwrap();
        assert!(search(dir.path(), &["something else"]).unwrap().starts_with("1 files, 22 bytes"));
        assert!(search(dir.path(), &["secret words"]).is_err());
    }
}
