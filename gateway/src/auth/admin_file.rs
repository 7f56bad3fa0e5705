//! The file of the admin token.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Token, TokenHash};
use crate::error::GatewayError;

/// Reads the admin token's hash from its file; makes token and file (0600) when there is none.
///
/// # Errors
/// `Io`, or `AdminToken` when the file holds something else.
pub(crate) fn load_or_create(path: &Path) -> Result<TokenHash, GatewayError> {
    let io = |source| GatewayError::Io { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let token = Token::parse(text.trim());
            token.map(|token| token.hash()).ok_or(GatewayError::AdminToken { path: path.into() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let token = Token::random();
            create(path, &token).map_err(io)?;
            Ok(token.hash())
        }
        Err(error) => Err(io(error)),
    }
}

/// The token appears under its name only when it is complete and durable.
fn create(path: &Path, token: &Token) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", token.reveal())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_private_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("admin-token");
        let first = load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap(), first);
        std::fs::write(&path, "something else").unwrap();
        assert!(matches!(load_or_create(&path), Err(GatewayError::AdminToken { .. })));
        // Nor does a new one take the place of one that cannot be read.
        std::fs::write(&path, [0xff]).unwrap();
        assert!(matches!(load_or_create(&path), Err(GatewayError::Io { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), [0xff]);
    }
}
