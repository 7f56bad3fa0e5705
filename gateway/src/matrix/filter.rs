//! Filters of clients: what `/sync` leaves out.

use quicproquo_client::GroupId;
use serde::Deserialize;
use serde_json::Value;

use super::error::{invalid, not_found};
use super::ids::{Caller, Ids};
use crate::extract::parse_json;
use crate::problem::Problem;
use crate::state::AppState;

/// Most events of one room in an answer.
const MOST: usize = 100;

/// A filter, as far as it is used. Whatever else it has makes no difference.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    room: RoomFilter,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RoomFilter {
    rooms: Option<Vec<String>>,
    not_rooms: Option<Vec<String>>,
    timeline: EventFilter,
    state: EventFilter,
    ephemeral: EventFilter,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct EventFilter {
    limit: Option<usize>,
    types: Option<Vec<String>>,
    not_types: Option<Vec<String>>,
    senders: Option<Vec<String>>,
    not_senders: Option<Vec<String>>,
    rooms: Option<Vec<String>>,
    not_rooms: Option<Vec<String>>,
}

impl Filter {
    /// The filter of a request: an id, or JSON.
    pub(super) async fn load(
        state: &AppState,
        caller: &Caller,
        text: Option<&str>,
    ) -> Result<Self, Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        if text.starts_with('{') {
            return parse_json(text.as_bytes());
        }
        let found = state.store.filter(&caller.bot.record.bot_id, text).await?;
        let found = found.ok_or_else(|| not_found("there is no such filter"))?;
        serde_json::from_value(found).map_err(|_| invalid("the filter does not read"))
    }

    /// Whether it reads as one.
    pub(super) fn check(filter: &Value) -> Result<(), Problem> {
        parse_json::<Self>(filter.to_string().as_bytes()).map(drop)
    }

    /// Most events of a room in one answer.
    pub(super) fn limit(&self) -> usize {
        self.room.timeline.limit.unwrap_or(MOST).clamp(1, MOST)
    }

    /// Whether a group is wanted.
    pub(super) fn wants(&self, ids: &Ids, group: &GroupId) -> bool {
        passes(self.room.rooms.as_deref(), self.room.not_rooms.as_deref(), &ids.room(group))
    }

    /// Whether an event of a timeline is wanted.
    pub(super) fn timeline(&self, event: &Value) -> bool {
        self.room.timeline.lets(event)
    }

    /// Whether a state event is wanted.
    pub(super) fn state(&self, event: &Value) -> bool {
        self.room.state.lets(event)
    }

    /// Whether what passes is wanted.
    pub(super) fn ephemeral(&self, event: &Value) -> bool {
        self.room.ephemeral.lets(event)
    }
}

impl EventFilter {
    fn lets(&self, event: &Value) -> bool {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        passes(self.types.as_deref(), self.not_types.as_deref(), text("type"))
            && passes(self.senders.as_deref(), self.not_senders.as_deref(), text("sender"))
            && passes(self.rooms.as_deref(), self.not_rooms.as_deref(), text("room_id"))
    }
}

fn passes(only: Option<&[String]>, not: Option<&[String]>, text: &str) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, text));
    only.is_none_or(any) && !not.is_some_and(any)
}

/// A `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pattern.contains('*').then(|| parts.next_back()).flatten() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_have_stars() {
        for (pattern, text) in
            [("m.room.*", "m.room.message"), ("*", ""), ("a*b*c", "a1b2c"), ("abc", "abc")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("m.room.*", "m.reaction"), ("a*b*c", "acb"), ("abc", "abcd")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn types_are_left_out() {
        let text = br#"{"room":{"timeline":{"types":["m.room.*"],"limit":7,"lazy":1}},"x":1}"#;
        let filter: Filter = parse_json(text).unwrap();
        assert_eq!(filter.limit(), 7);
        assert!(filter.timeline(&json!({"type": "m.room.message"})));
        assert!(!filter.timeline(&json!({"type": "m.reaction"})));
        assert!(filter.state(&json!({"type": "m.reaction"})));
        assert!(Filter::check(&json!({"room": 1})).is_err());
    }
}
