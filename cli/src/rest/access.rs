//! Which gateway, and with which token.

use std::path::{Path, PathBuf};

use super::Rest;
use crate::args::{AdminAccess, BotAccess};
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// A caller with the admin token: of `--token-file`, of the variables, or that of the data
/// directory.
pub(crate) fn admin(settings: &Settings, access: &AdminAccess) -> Result<Rest, Failure> {
    let file = access.token_file.clone();
    let token = match given(file, "QPQ_ADMIN_TOKEN", "QPQ_ADMIN_TOKEN_FILE")? {
        Some(token) => token,
        None => kept(&settings.data_dir).map_err(|failure| {
            let hint = "give --data-dir of `qpq up`, --token-file or QPQ_ADMIN_TOKEN";
            Failure::new(failure.exit, format!("no admin token; {hint} ({failure})"))
        })?,
    };
    Rest::trusting(&url(settings, access.url.as_ref()), &token, access.ca.as_deref())
}

fn kept(data_dir: &Path) -> Result<String, Failure> {
    if data_dir.as_os_str().is_empty() {
        return Err(Failure::usage("no home directory"));
    }
    read(&data_dir.join("admin-token"))
}

/// A caller with a bot's token: of `--token-file`, or of the variables.
pub(crate) fn bot(settings: &Settings, access: &BotAccess) -> Result<Rest, Failure> {
    let token = given(access.token_file.clone(), "QPQ_TOKEN", "QPQ_TOKEN_FILE")?;
    let token = token
        .ok_or_else(|| Failure::usage("give the bot's token in QPQ_TOKEN or by --token-file"))?;
    Rest::trusting(&url(settings, access.url.as_ref()), &token, access.ca.as_deref())
}

/// The given address, or the configured one.
pub(crate) fn url(settings: &Settings, given: Option<&String>) -> String {
    let scheme = if settings.http.tls { "https" } else { "http" };
    given.cloned().unwrap_or_else(|| format!("{scheme}://{}", settings.http.listen))
}

#[expect(clippy::disallowed_methods, reason = "tokens are no options; each is read once")]
fn given(
    option: Option<PathBuf>,
    variable: &str,
    file_variable: &str,
) -> Result<Option<String>, Failure> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    if let Some(path) = option {
        return read(&path).map(Some);
    }
    if let Some(token) = set(variable) {
        return Ok(Some(token.trim().to_owned()));
    }
    set(file_variable).map(|path| read(Path::new(&path))).transpose()
}

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{}: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let token = text.trim();
    // It goes into a header.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(&"there is no token in it"));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_has_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert_eq!(read(&path).unwrap_err().exit, Exit::Usage);
        for (content, token) in [("qpq_abc\n", Some("qpq_abc")), ("\n", None), ("a b", None)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&path).ok().as_deref(), token, "{content:?}");
        }
    }
}
