//! Files that are sent, fetched and made: their kinds, their places, and secrets in them.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// A secret goes into a file that was not there, and that only its owner reads.
pub(crate) fn new_secret(path: &Path) -> Result<File, Failure> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|error| wrong(path, error))
}

/// A file that was named and cannot be used.
pub(crate) fn wrong(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

/// Where a file goes: what the sender calls it never leaves the directory.
pub(crate) fn place(to: Option<&Path>, name: &str) -> PathBuf {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = Path::new(name.trim_start_matches('.')).file_name();
    let name = name.map_or_else(|| PathBuf::from("file"), PathBuf::from);
    match to {
        None => name,
        Some(dir) if dir.is_dir() => dir.join(name),
        Some(path) => path.to_owned(),
    }
}

/// What a file is, by the end of its name: what chats show, and otherwise bytes.
pub(crate) fn mime(path: &Path) -> &'static str {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    match end.to_ascii_lowercase().as_str() {
        "txt" | "log" | "md" => "text/plain",
        "html" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_chooses_no_place() {
        for (name, expected) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            (".bashrc", "bashrc"),
            ("..", "file"),
            ("a\nb", "ab"),
        ] {
            assert_eq!(place(None, name), PathBuf::from(expected), "{name:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(place(Some(dir.path()), "../x"), dir.path().join("x"));
    }
}
