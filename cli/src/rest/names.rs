//! What people call bots, groups and tokens, and what the gateway calls them.

use std::collections::HashMap;

use serde_json::Value;

use super::{Rest, text};
use crate::exit::{Exit, Failure};

/// The id of a bot that is given by its id, name or identity.
pub(crate) async fn find_bot(rest: &Rest, given: &str) -> Result<String, Failure> {
    let bots = rest.items("/v1/bots").await?;
    find("bot", given, &bots, "bot_id", &["name", "identity"])
}

/// The id of a token of a bot that is given by its id or label.
pub(crate) async fn find_token(rest: &Rest, bot: &str, given: &str) -> Result<String, Failure> {
    let tokens = rest.items(&format!("/v1/bots/{bot}/tokens")).await?;
    find("token", given, &tokens, "token_id", &["label"])
}

/// The id of a group that is given by its id or name; a group that was left counts only by its id.
pub(crate) async fn find_group(rest: &Rest, given: &str) -> Result<String, Failure> {
    let groups = rest.items("/v1/groups").await?;
    if groups.iter().any(|group| group["group_id"] == given) {
        return Ok(given.to_owned());
    }
    let here: Vec<_> = groups.into_iter().filter(is_here).collect();
    find("group", given, &here, "group_id", &["name"])
}

/// Whether the bot is in a group.
pub(crate) fn is_here(group: &Value) -> bool {
    !matches!(group["state"].as_str(), Some("left" | "removed" | "declined"))
}

/// What the bot's groups are called; none when its token must not see them.
pub(crate) async fn group_names(rest: &Rest) -> HashMap<String, String> {
    let groups = rest.items("/v1/groups").await.unwrap_or_default();
    let names = groups.iter().filter_map(|group| {
        Some((group["group_id"].as_str()?.to_owned(), group["name"].as_str()?.to_owned()))
    });
    names.collect()
}

/// The one item that has this id, or this in one of the fields.
pub(crate) fn find(
    what: &str,
    given: &str,
    items: &[Value],
    id: &str,
    fields: &[&str],
) -> Result<String, Failure> {
    if let Some(item) = items.iter().find(|item| item[id] == given) {
        return text(item, id);
    }
    let named = |item: &&Value| fields.iter().any(|field| item[*field] == given);
    let found: Vec<_> = items.iter().filter(named).collect();
    match found.as_slice() {
        [item] => text(item, id),
        [] => Err(Failure::new(Exit::NotFound, format!("there is no {what} {given:?}"))),
        several => {
            let ids = several.iter().filter_map(|item| item[id].as_str()).collect::<Vec<_>>();
            Err(Failure::new(
                Exit::NotFound,
                format!("{} are called {given:?}; say which: {}", several.len(), ids.join(", ")),
            ))
        }
    }
}

/// A name or an identity, which needs no escapes in a path.
pub(crate) fn name_in_path(who: &str) -> Result<&str, Failure> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if who.is_empty() || who.bytes().all(|byte| byte == b'.') || !who.bytes().all(plain) {
        return Err(Failure::usage(format!("{who:?} is neither an identity nor a name")));
    }
    Ok(who)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_goes_before_names_and_names_must_be_unambiguous() {
        let items = [
            json!({ "group_id": "aa", "name": "tea" }),
            json!({ "group_id": "bb", "name": "tea" }),
            json!({ "group_id": "cc", "name": "aa" }),
        ];
        let find = |given| find("group", given, &items, "group_id", &["name"]);
        assert_eq!(find("aa").unwrap(), "aa");
        assert_eq!(find("bb").unwrap(), "bb");
        let several = find("tea").unwrap_err();
        assert_eq!(several.exit, Exit::NotFound);
        assert!(several.to_string().contains("aa, bb"), "{several}");
        assert_eq!(find("coffee").unwrap_err().to_string(), "there is no group \"coffee\"");
    }

    #[test]
    fn only_names_and_identities_are_asked_for() {
        assert_eq!(name_in_path("bob").unwrap(), "bob");
        for wrong in ["", "Bob", "a/b", "a?b", "a b", ".."] {
            assert!(name_in_path(wrong).is_err(), "{wrong}");
        }
    }
}
