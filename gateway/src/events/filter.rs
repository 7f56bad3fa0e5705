//! Which events of a log a caller gets.

use std::collections::HashSet;

use quicproquo_client::{Event, EventData, GroupId};

use crate::auth::Grant;
use crate::problem::{Kind, Problem};

/// Which events pass: by type, by group, and by the token's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    types: Option<HashSet<String>>,
    groups: Option<HashSet<GroupId>>,
    limits: Option<HashSet<GroupId>>,
}

impl Filter {
    /// Reads the parameters `types` and `groups`, separated by commas.
    ///
    /// # Errors
    /// `RequestInvalid` for unknown types and malformed ids, `GroupNotAllowed`.
    pub(crate) fn parse(
        types: Option<&str>,
        groups: Option<&str>,
        grant: &Grant,
    ) -> Result<Self, Problem> {
        let types = types.map(parse_types).transpose()?;
        let groups = match groups.map(parse_groups).transpose()? {
            Some(groups) if groups.iter().all(|group| grant.allows_group(group)) => Some(groups),
            Some(_) => return Err(Problem::new(Kind::GroupNotAllowed)),
            None => grant.groups.clone(),
        };
        Ok(Self { types, groups, limits: grant.groups.clone() })
    }

    /// One group.
    #[cfg(test)]
    pub(crate) fn only(group: &str) -> Self {
        Self { groups: parse_groups(group).ok(), ..Self::default() }
    }

    /// The groups that the token is limited to.
    pub(crate) fn limits(&self) -> Option<&HashSet<GroupId>> {
        self.limits.as_ref()
    }

    /// The same for what was checked when it was asked for.
    ///
    /// # Errors
    /// `RequestInvalid`.
    pub(crate) fn trusted(types: Option<&str>, groups: Option<&str>) -> Result<Self, Problem> {
        let types = types.map(parse_types).transpose()?;
        Ok(Self { types, groups: groups.map(parse_groups).transpose()?, limits: None })
    }

    /// Whether an event passes. What is about no group passes only without group limits.
    pub(crate) fn lets(&self, event: &Event) -> bool {
        let type_passes = self.types.as_ref().is_none_or(|types| types.contains(event.data.kind()));
        let group_passes = self
            .groups
            .as_ref()
            .is_none_or(|groups| event.group.as_ref().is_some_and(|group| groups.contains(group)));
        type_passes && group_passes
    }
}

fn parse_types(text: &str) -> Result<HashSet<String>, Problem> {
    let known = |name: &str| {
        if EventData::KINDS.contains(&name) {
            return Ok(name.to_owned());
        }
        Err(Problem::field("types", format!("of {}", EventData::KINDS.join(", "))))
    };
    text.split(',').map(known).collect()
}

fn parse_groups(text: &str) -> Result<HashSet<GroupId>, Problem> {
    let parse = |id: &str| id.parse().map_err(|_| Problem::field("groups", "not a group id"));
    text.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use quicproquo_client::Cursor;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::auth::{Scope, Token};

    fn grant(groups: Option<HashSet<GroupId>>) -> Grant {
        Grant {
            token_id: String::new(),
            bot_id: String::new(),
            label: String::new(),
            hash: Token::random().hash(),
            scopes: Scope::ALL.into(),
            groups,
            created_at_ms: 0,
            expires_at_ms: None,
            login: None,
            revoked: CancellationToken::new(),
        }
    }

    fn event(group: Option<&str>) -> Event {
        Event {
            cursor: Cursor::default(),
            occurred_at_ms: 0,
            group: group.map(|id| id.parse().unwrap()),
            data: EventData::GapDetected { lost: 1 },
        }
    }

    #[test]
    fn types_and_groups_are_both_asked() {
        let (one, two) = ("11".repeat(32), "22".repeat(32));
        let all = Filter::parse(None, None, &grant(None)).unwrap();
        assert!(all.lets(&event(None)) && all.lets(&event(Some(&one))));
        let typed = Filter::parse(Some("gap.detected,group.left"), None, &grant(None)).unwrap();
        assert!(typed.lets(&event(None)));
        let other = Filter::parse(Some("group.left"), None, &grant(None)).unwrap();
        assert!(!other.lets(&event(None)));
        let grouped = Filter::parse(None, Some(&one), &grant(None)).unwrap();
        assert!(grouped.lets(&event(Some(&one))));
        assert!(!grouped.lets(&event(Some(&two))) && !grouped.lets(&event(None)));
    }

    #[test]
    fn a_limited_token_sees_its_groups_only() {
        let (one, two) = ("11".repeat(32), "22".repeat(32));
        let limited = grant(Some([one.parse().unwrap()].into()));
        let filter = Filter::parse(None, None, &limited).unwrap();
        assert!(filter.lets(&event(Some(&one))) && !filter.lets(&event(Some(&two))));
        let refused = Filter::parse(None, Some(&two), &limited).unwrap_err();
        assert_eq!(refused.kind(), Kind::GroupNotAllowed);
    }

    #[test]
    fn unknown_words_are_refused() {
        for (types, groups) in
            [(Some("message.receive"), None), (Some(""), None), (None, Some("x"))]
        {
            assert!(Filter::parse(types, groups, &grant(None)).is_err());
        }
    }
}
