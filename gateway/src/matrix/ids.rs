//! How things are called: rooms `!<group id>:server`, users `@<name or identity>:server`, events
//! `$<base64url>`, files `mxc://server/<attachment id>`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use quicproquo_client::{AttachmentId, Cursor, GroupId, IdentityKey, MessageId};
use sha2::{Digest, Sha256};

use super::error::{forbidden, invalid, not_found};
use super::names::Unnamed;
use crate::auth::Bot;
use crate::model::{is_name, resolve};
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// Who is named as the author of what has no known one; no bot can have this name.
const NOBODY: &str = "=quicproquo";

/// The names of one bot's world.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    server: Arc<str>,
    own: IdentityKey,
    own_name: String,
    unnamed: Arc<Unnamed>,
}

/// A bot that speaks Matrix.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) bot: Bot,
    pub(super) ids: Ids,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let bot = Bot::from_request_parts(parts, state).await?;
        Ok(Self { ids: Ids::of(state, &bot)?, bot })
    }
}

impl Caller {
    /// Refuses what is about another user.
    pub(super) fn is(&self, user: &str) -> Result<(), Problem> {
        if user == self.ids.me() {
            return Ok(());
        }
        Err(forbidden(format!("the token is that of {}", self.ids.me())))
    }
}

impl Ids {
    /// Those of a bot.
    pub(super) fn of(state: &AppState, bot: &Bot) -> Result<Self, Problem> {
        let matrix = state.matrix.as_ref().ok_or(Problem::new(Kind::RouteNotFound))?;
        let (own, own_name) = (bot.record.identity, bot.record.name.clone());
        let (server, unnamed) = (Arc::clone(&matrix.server_name), Arc::clone(&matrix.unnamed));
        Ok(Self { server, own, own_name, unnamed })
    }

    /// What is behind the colon.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// The bot itself.
    pub(super) fn me(&self) -> String {
        format!("@{}:{}", self.own_name, self.server)
    }

    /// The name of the bot itself.
    pub(super) fn own_name(&self) -> &str {
        &self.own_name
    }

    /// Whose names are waited for.
    pub(super) fn unnamed(&self) -> &Unnamed {
        &self.unnamed
    }

    /// Whether this is the bot itself.
    pub(super) fn is_own(&self, identity: &IdentityKey) -> bool {
        *identity == self.own
    }

    /// Somebody, by name if it is known.
    pub(super) fn user(&self, identity: &IdentityKey, name: Option<&str>) -> String {
        match name {
            _ if *identity == self.own => self.me(),
            Some(name) if is_name(name) => format!("@{name}:{}", self.server),
            _ => format!("@{identity}:{}", self.server),
        }
    }

    /// The author of what has no known one.
    pub(super) fn nobody(&self) -> String {
        format!("@{NOBODY}:{}", self.server)
    }

    /// A group.
    pub(super) fn room(&self, group: &GroupId) -> String {
        format!("!{group}:{}", self.server)
    }

    /// A message.
    pub(super) fn event(id: &MessageId) -> String {
        format!("${}", URL_SAFE_NO_PAD.encode(id.as_bytes()))
    }

    /// What is no message, by all that makes it what it is.
    pub(super) fn event_of(parts: &[&[u8]]) -> String {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        format!("${}", URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// A file.
    pub(super) fn file(&self, id: &str) -> String {
        format!("mxc://{}/{id}", self.server)
    }

    /// The group of a room.
    pub(super) fn group(&self, room: &str) -> Result<GroupId, Problem> {
        let id = room.strip_prefix('!').and_then(|rest| rest.split_once(':'));
        match id {
            Some((id, server)) if server == self.server() => {
                id.parse().map_err(|_| not_found("there is no such room"))
            }
            _ => Err(not_found("there is no such room at this server")),
        }
    }

    /// The message of an event. `None`: the event is no message.
    pub(super) fn message(event: &str) -> Option<MessageId> {
        let bytes = URL_SAFE_NO_PAD.decode(event.strip_prefix('$')?).ok()?;
        MessageId::from_slice(&bytes).ok()
    }

    /// The name or identity in a user's id.
    pub(super) fn local<'a>(&self, user: &'a str) -> Result<&'a str, Problem> {
        match user.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
            Some((local, server)) if server == self.server() => Ok(local),
            Some(_) => Err(forbidden("users of other servers cannot be reached")),
            None => Err(invalid("a user id is @name:server")),
        }
    }

    /// The identity of a user.
    pub(super) async fn identity(&self, bot: &Bot, user: &str) -> Result<IdentityKey, Problem> {
        let local = self.local(user)?;
        if local == self.own_name {
            return Ok(self.own);
        }
        resolve(&bot.session, local).await
    }

    /// The attachment of a file's address.
    pub(super) fn attachment(&self, uri: &str) -> Option<AttachmentId> {
        let (server, id) = uri.strip_prefix("mxc://")?.split_once('/')?;
        (server == self.server()).then(|| id.parse().ok()).flatten()
    }
}

/// A place in the event log, as `/sync` and `/messages` give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    /// From the first sync: what is open from before has not been told as news.
    pub(super) first: bool,
}

impl Place {
    /// Behind this.
    pub(super) fn at(cursor: Cursor) -> Self {
        Self { cursor, first: false }
    }

    /// Reads a token.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let place = text.split_once('_').and_then(|(kind, cursor)| {
            let first = match kind {
                "s" => false,
                "i" => true,
                _ => return None,
            };
            Some(Self { cursor: cursor.parse().ok()?, first })
        });
        place.ok_or_else(|| invalid("not a token of this server"))
    }

    /// The token.
    pub(super) fn token(self) -> String {
        format!("{}_{}", if self.first { 'i' } else { 's' }, self.cursor)
    }
}

#[cfg(test)]
impl Ids {
    /// Those of a bot `ping` at `bots.example`.
    pub(super) fn example() -> Self {
        Self {
            server: "bots.example".into(),
            own: IdentityKey::from_slice(&[7; 32]).expect("32 bytes"),
            own_name: "ping".to_owned(),
            unnamed: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_as_they_are_written() {
        let ids = Ids::example();
        let group: GroupId = "5f".repeat(32).parse().unwrap();
        assert_eq!(ids.group(&ids.room(&group)).unwrap(), group);
        assert!(ids.group(&format!("!{group}:other")).is_err());
        assert!(ids.group(&group.to_string()).is_err());
        let message = MessageId::new([9; 16]);
        assert_eq!(Ids::message(&Ids::event(&message)), Some(message));
        assert_eq!(Ids::message(&Ids::event_of(&[b"a"])), None);
        assert_ne!(Ids::event_of(&[b"a", b"b"]), Ids::event_of(&[b"ab", b""]));
        assert_eq!(ids.local(&ids.me()).unwrap(), "ping");
        assert!(ids.local("@ping:other").is_err() && ids.local("ping").is_err());
        let file = "1c0ffee01c0ffee01c0ffee01c0ffee0";
        assert_eq!(ids.attachment(&ids.file(file)).unwrap().to_string(), file);
    }

    #[test]
    fn nobody_has_no_name_that_can_be_claimed() {
        assert_eq!(Ids::example().nobody(), "@=quicproquo:bots.example");
        assert!(!is_name(NOBODY));
    }

    #[test]
    fn places_read_as_they_are_written() {
        for text in ["s_c1_1f", "i_c1_0"] {
            assert_eq!(Place::parse(text).unwrap().token(), text);
        }
        for bad in ["", "c1_1f", "x_c1_1f", "s_", "s_c1_01"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
