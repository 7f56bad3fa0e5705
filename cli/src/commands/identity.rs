//! `qpq identity`: who is who, for people, through a bot's gateway.

use serde_json::{Value, json};

use crate::args::{Identity, IdentityCommand, IdentityVerify};
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::{say, say_json};
use crate::rest::{self, name_in_path, text};

/// Blocks of digits in a line of a safety number.
const BLOCKS: usize = 4;

/// Shows an identity, or says that a person has compared its safety number.
pub(crate) async fn run(settings: &Settings, identity: Identity) -> Result<(), Failure> {
    let rest = rest::bot(settings, &identity.access)?;
    let known = match &identity.command {
        IdentityCommand::Show { who } => rest.get(&path(who)?).await?,
        IdentityCommand::Verify(verify) => {
            rest.put(&format!("{}/verification", path(&verify.who)?), &body(verify)).await?
        }
    };
    if identity.access.json { say_json(&known) } else { show(&known) }
}

fn path(who: &str) -> Result<String, Failure> {
    Ok(format!("/v1/identities/{}", name_in_path(who)?))
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
