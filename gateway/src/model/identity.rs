//! Identities on the wire: 64 hexadecimal digits, or a name.

use quicproquo_client::{IdentityKey, Session};
use serde::Serialize;
use utoipa::ToSchema;

use super::bot::is_name;
use crate::problem::{Kind, Problem};

/// How a caller names an identity. A name has at most 63 characters, so there is no doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// By its key.
    Key(IdentityKey),
    /// By its name.
    Name(String),
}

impl Target {
    /// Reads a key or a name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(key) => Some(Self::Key(key)),
            Err(_) if is_name(text) => Some(Self::Name(text.to_owned())),
            Err(_) => None,
        }
    }

    /// The key; names are asked for at the node and pinned.
    pub(crate) async fn key(self, session: &Session) -> Result<IdentityKey, Problem> {
        match self {
            Self::Key(key) => Ok(key),
            Self::Name(name) => Ok(session.resolve(&name).await?),
        }
    }
}

/// The key behind a text in the path.
pub(crate) async fn resolve(session: &Session, text: &str) -> Result<IdentityKey, Problem> {
    match Target::parse(text) {
        Some(target) => target.key(session).await,
        None => Err(Problem::new(Kind::NotFound).detail("neither an identity nor a name")),
    }
}

/// The keys behind the texts of a field, in order.
pub(crate) async fn resolve_all(
    session: &Session,
    field: &str,
    texts: &[String],
) -> Result<Vec<IdentityKey>, Problem> {
    let mut keys = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let pointer = || format!("{field}/{index}");
        let target = Target::parse(text)
            .ok_or_else(|| Problem::field(pointer(), "neither an identity nor a name"))?;
        let key = target.key(session).await.map_err(|problem| match problem.kind() {
            Kind::NameUnknown => problem.at(pointer(), "nobody has this name"),
            _ => problem,
        })?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// An identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Identity)]
pub(crate) struct IdentityDto {
    /// An Ed25519 key, 64 hexadecimal digits.
    #[schema(example = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")]
    pub(crate) identity: String,
    /// The name it signed for, if it is known here.
    #[schema(required = true, example = "weather")]
    pub(crate) name: Option<String>,
}

impl IdentityDto {
    /// An identity and its name.
    pub(crate) fn new(identity: &IdentityKey, name: Option<String>) -> Self {
        Self { identity: identity.to_string(), name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_no_name() {
        let hex = "ab".repeat(32);
        assert_eq!(Target::parse(&hex), Some(Target::Key(hex.parse().unwrap())));
        assert_eq!(Target::parse("weather"), Some(Target::Name("weather".to_owned())));
        assert_eq!(Target::parse(&hex[1..]), Some(Target::Name(hex[1..].to_owned())));
        for bad in ["", "Weather", "a/b", &format!("{hex}0")] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }
}
