//! Where the master key of the bots' identities comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use quicproquo_client::MasterKey;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The variable that a key is usually given in.
pub(crate) const VARIABLE: &str = "QPQ_MASTER_KEY";

/// `file:PATH`, `credential:NAME` or `env:VARIABLE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum KeySource {
    /// A file, made when there is no database yet.
    File(PathBuf),
    /// A credential of systemd (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
    /// An environment variable.
    Environment(String),
}

impl FromStr for KeySource {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What does not parse may be a key, so it is not shown.
        let (kind, rest) = text
            .split_once(':')
            .filter(|(_, rest)| !rest.is_empty())
            .ok_or("not file:PATH, credential:NAME or env:VARIABLE")?;
        match kind {
            "file" => Ok(Self::File(rest.into())),
            "credential" if !rest.contains('/') && !rest.starts_with('.') => {
                Ok(Self::Credential(rest.to_owned()))
            }
            "credential" => Err("a credential has a name, not a path"),
            "env" => Ok(Self::Environment(rest.to_owned())),
            _ => Err("not file:PATH, credential:NAME or env:VARIABLE"),
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeySource> for String {
    fn from(source: KeySource) -> Self {
        source.to_string()
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Environment(name) => write!(f, "env:{name}"),
        }
    }
}

impl KeySource {
    /// The key of a gateway's directory: what is configured, or else `master.key` in it.
    pub(crate) fn of(configured: Option<&Self>, gateway_dir: &Path) -> Result<MasterKey, Failure> {
        match configured {
            Some(source) => source.resolve(),
            None => Ok(MasterKey::File(gateway_dir.join("master.key"))),
        }
    }

    /// Finds the key's file, or reads the variable.
    pub(crate) fn resolve(&self) -> Result<MasterKey, Failure> {
        match self {
            Self::File(path) => Ok(MasterKey::File(path.clone())),
            Self::Credential(name) => {
                let folder = variable("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Failure::usage(format!(
                        "{self}: this process got no credentials; name it in the unit with \
                         LoadCredential= or LoadCredentialEncrypted="
                    ))
                })?;
                Ok(MasterKey::Provided(Path::new(&folder).join(name)))
            }
            Self::Environment(name) => {
                let text = variable(name)
                    .ok_or_else(|| Failure::usage(format!("{self}: the variable is not set")))?;
                Ok(MasterKey::text(format!("the environment variable {name}"), text))
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "configuration, read once")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_one_spelling() {
        for text in ["file:/etc/qpq/key", "credential:master", "env:QPQ_MASTER_KEY"] {
            assert_eq!(text.parse::<KeySource>().unwrap().to_string(), text);
        }
        let key = "ab".repeat(32);
        for wrong in ["", "file:", "/etc/key", "credential:../x", "credential:a/b", "x:y", &key] {
            assert!(!wrong.parse::<KeySource>().unwrap_err().contains(&key));
        }
    }
}
