//! `qpq identity`: who is who, for people, through a bot's gateway.

use serde_json::{Value, json};

use crate::args::{Identity, IdentityCommand, IdentityVerify};
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::{say, say_json};
use crate::rest::{Rest, text};

/// Blocks of digits in a line of a safety number.
const BLOCKS: usize = 4;

/// Shows an identity, or says that a person has compared its safety number.
pub(crate) async fn run(settings: &Settings, identity: Identity) -> Result<(), Failure> {
    let token = identity.token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Failure::usage("give the bot's token in QPQ_TOKEN"))?;
    let url = identity.url.unwrap_or_else(|| format!("http://{}", settings.http.listen));
    let rest = Rest::new(&url, &token)?;
    let known = match &identity.command {
        IdentityCommand::Show { who } => rest.get(&path(who)?).await?,
        IdentityCommand::Verify(verify) => {
            rest.put(&format!("{}/verification", path(&verify.who)?), &body(verify)).await?
        }
    };
    if identity.json { say_json(&known) } else { show(&known) }
}

/// Names and identities need no escapes in a path.
fn path(who: &str) -> Result<String, Failure> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if who.is_empty() || !who.bytes().all(plain) {
        return Err(Failure::usage(format!("{who:?} is neither an identity nor a name")));
    }
    Ok(format!("/v1/identities/{who}"))
}

fn body(verify: &IdentityVerify) -> Value {
    match &verify.number {
        Some(number) => json!({ "verified": true, "safety_number": number }),
        None => json!({ "verified": !verify.undo }),
    }
}

fn show(known: &Value) -> Result<(), Failure> {
    let names: Vec<&str> =
        known["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let names = if names.is_empty() { "none known".to_owned() } else { names.join(", ") };
    say(format_args!("Names          {names}"));
    say(format_args!("Identity       {}", text(known, "identity")?));
    let since = |field: &str| known[field].as_str().map(|at| format!(", {at}")).unwrap_or_default();
    let trust = match text(known, "trust")?.as_str() {
        "verified" => format!("verified{}", since("verified_at")),
        "changed" => "changed: a name of it belonged to another key".to_owned(),
        _ => format!("on first use{}", since("first_seen_at")),
    };
    say(format_args!("Trust          {trust}"));
    let Some(number) = known["safety_number"].as_str() else {
        return Ok(());
    };
    let blocks: Vec<&str> = number.split(' ').collect();
    for (line, blocks) in blocks.chunks(BLOCKS).enumerate() {
        let title = if line == 0 { "Safety number" } else { "" };
        say(format_args!("{title:<14} {}", blocks.join(" ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_identities_are_asked_for() {
        assert_eq!(path("bob").unwrap(), "/v1/identities/bob");
        for wrong in ["", "Bob", "a/b", "a?b", "a b"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }
}
