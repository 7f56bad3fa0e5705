//! The file of the node's static token. It is never given on a command line, which others can see.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use quicproquo_node::StaticToken;

use crate::exit::Failure;

/// Fewest and most bytes of the token.
const LEN: std::ops::RangeInclusive<usize> = 16..=1024;

/// Reads the token: what is in the file, less the white space around it.
pub(crate) fn read(path: &Path) -> Result<StaticToken, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format_args!("static token {}: {error}", path.display()))
    };
    let mut file = File::open(path).map_err(|error| wrong(&error))?;
    let mode = file.metadata().map_err(|error| wrong(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(wrong(&"others may read it: chmod 600"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    let token = bytes.trim_ascii();
    if !LEN.contains(&token.len()) {
        return Err(wrong(&format_args!("a token has {} to {} bytes", LEN.start(), LEN.end())));
    }
    Ok(StaticToken::new(token))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn only_a_private_file_with_a_long_token_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(read(&path).is_err());
        write(&path, "0123456789abcdef\n").unwrap();
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let failure = read(&path).unwrap_err().to_string();
        assert!(failure.contains("chmod 600"), "{failure}");
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(read(&path).unwrap() == StaticToken::new(b"0123456789abcdef"));
        write(&path, "short").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("16 to 1024 bytes"));
    }
}
