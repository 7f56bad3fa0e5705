//! Identities on the wire: 64 hexadecimal digits, or a name.

use quicproquo_client::{IdentityKey, KnownIdentity, Options, Session, fingerprint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bot::is_name;
use super::group::trust;
use super::rfc3339;
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

/// The key behind a text in the path of a request; none when it was answered before, for then a
/// name that has moved changes nothing.
pub(crate) async fn resolve_one(
    session: &Session,
    options: &Options,
    text: &str,
) -> Result<Vec<IdentityKey>, Problem> {
    if session.knows(options.idempotency.as_ref())? {
        return Ok(Vec::new());
    }
    Ok(vec![resolve(session, text).await?])
}

/// The keys behind the texts of `/members`, in order; none when the request was answered before.
pub(crate) async fn resolve_new(
    session: &Session,
    options: &Options,
    texts: &[String],
) -> Result<Vec<IdentityKey>, Problem> {
    if session.knows(options.idempotency.as_ref())? {
        return Ok(Vec::new());
    }
    let mut keys = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let pointer = || format!("/members/{index}");
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

/// An identity, and how well it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = KnownIdentity)]
pub(crate) struct KnownIdentityDto {
    #[serde(flatten)]
    identity: IdentityDto,
    /// All names it signed for that are known here.
    names: Vec<String>,
    /// 30 digits made of its key: its half of every safety number.
    #[schema(example = "80902 61658 48758 65857 47835 63207")]
    fingerprint: String,
    /// 60 digits made of its key and this bot's, the same on both sides: who compares them by
    /// another way knows that nobody stands between. `null` for the bot itself.
    #[schema(
        required = true,
        example = "80902 61658 48758 65857 47835 63207 92590 32221 07406 81600 82900 73515"
    )]
    safety_number: Option<String>,
    /// How well the key is known: `verified`, `tofu` (trusted on first use) or `changed` (a name
    /// of it pointed to another key before).
    #[schema(example = "tofu")]
    trust: &'static str,
    /// When this bot met it first.
    #[schema(required = true, format = DateTime)]
    first_seen_at: Option<String>,
    /// When it was verified.
    #[schema(required = true, format = DateTime)]
    verified_at: Option<String>,
}

impl KnownIdentityDto {
    /// What a bot knows of an identity.
    pub(crate) fn new(session: &Session, known: KnownIdentity) -> Self {
        let KnownIdentity { identity, names, trust: state, first_seen_ms, verified_at_ms } = known;
        let other = identity != session.identity();
        Self {
            identity: IdentityDto::new(&identity, names.first().cloned()),
            names,
            fingerprint: fingerprint(&identity),
            safety_number: other.then(|| session.safety_number(&identity).to_string()),
            trust: trust(state),
            first_seen_at: first_seen_ms.map(rfc3339),
            verified_at: verified_at_ms.map(rfc3339),
        }
    }
}

/// Whether an identity is verified.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verification {
    /// `true`: a person has compared the safety number; `false`: that no longer counts.
    #[schema(example = true)]
    pub(crate) verified: bool,
    /// The safety number as the other side shows it; refused when it is another. Spaces do not
    /// count.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub(crate) safety_number: Option<String>,
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
