//! `qpq group`: the groups of a bot.

use serde_json::{Value, json};

use crate::args::{Group, GroupCommand};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{Table, printable, say, say_json};
use crate::rest::{self, Rest, find_group, is_here, name_in_path, text};

/// Runs one of the commands.
pub(crate) async fn run(settings: &Settings, group: Group) -> Result<(), Failure> {
    let rest = rest::bot(settings, &group.access)?;
    let json = group.access.json;
    match group.command {
        GroupCommand::List { all } => list(&rest, all, json).await,
        GroupCommand::Create { name, members, topic, post_quantum, profile } => {
            let body = json!({
                "name": name,
                "members": members,
                "topic": topic,
                "post_quantum": post_quantum.word(),
                "profile": profile.word(),
            });
            let made = rest.post("/v1/groups", &body).await?;
            // A group whose first commit has not come back yet is the `group` of a change.
            let group = if made["group"].is_object() { &made["group"] } else { &made };
            if json {
                return say_json(group);
            }
            say(text(group, "group_id")?);
            Ok(())
        }
        GroupCommand::Show { group } => {
            let id = find_group(&rest, &group).await?;
            let group = rest.get(&format!("/v1/groups/{id}")).await?;
            if json { say_json(&group) } else { show(&group) }
        }
        GroupCommand::Add { group, members } => {
            let path = format!("/v1/groups/{}/members", find_group(&rest, &group).await?);
            changed(rest.post(&path, &json!({ "members": members })).await, json)
        }
        GroupCommand::Remove { group, member } => {
            let id = find_group(&rest, &group).await?;
            let member = identity(&rest, &id, &member).await?;
            changed(rest.delete(&format!("/v1/groups/{id}/members/{member}")).await, json)
        }
        GroupCommand::Leave { group } => {
            let path = format!("/v1/groups/{}/leave", find_group(&rest, &group).await?);
            changed(rest.post(&path, &json!({})).await, json)
        }
        GroupCommand::Rename { group, name } => {
            let path = format!("/v1/groups/{}", find_group(&rest, &group).await?);
            changed(rest.patch(&path, &json!({ "name": name })).await, json)
        }
    }
}

async fn list(rest: &Rest, all: bool, json: bool) -> Result<(), Failure> {
    let mut groups = rest.items("/v1/groups").await?;
    groups.retain(|group| all || is_here(group));
    if json {
        return groups.iter().try_for_each(say_json);
    }
    let mut table = Table::new(["NAME", "STATE", "MEMBERS", "ID"]);
    for group in &groups {
        let members = group["members"].as_array().map_or(0, Vec::len);
        let field = |name| text(group, name);
        table.row([field("name")?, field("state")?, members.to_string(), field("group_id")?]);
    }
    table.print("It is in no group. `qpq group create NAME` makes one.");
    Ok(())
}

fn show(group: &Value) -> Result<(), Failure> {
    for (title, field) in [("Name", "name"), ("Topic", "topic"), ("Id", "group_id")] {
        say(format_args!("{title:<14}{}", printable(&text(group, field)?)));
    }
    say(format_args!("{:<14}{}", "State", text(group, "state")?));
    say(format_args!("{:<14}{}", "Epoch", group["epoch"]));
    say(format_args!("{:<14}{}", "Ciphersuite", text(group, "ciphersuite")?));
    say(format_args!("{:<14}{}\n", "Post-quantum", text(group, "post_quantum")?));
    let mut table = Table::new(["MEMBER", "ROLE", "TRUST", "IDENTITY"]);
    for member in group["members"].as_array().into_iter().flatten() {
        let name = member["name"].as_str().unwrap_or("-").to_owned();
        let field = |name| text(member, name);
        table.row([name, field("role")?, field("trust")?, field("identity")?]);
    }
    table.print("No members.");
    Ok(())
}

/// The identity of a member that is given by its name or identity.
async fn identity(rest: &Rest, group: &str, given: &str) -> Result<String, Failure> {
    let members = rest.items(&format!("/v1/groups/{group}/members")).await?;
    let found = rest::find("member", given, &members, "identity", &["name"]);
    match found {
        // A member by another of its names, or one whose name is not known here yet.
        Err(failure) if failure.exit == Exit::NotFound => {
            let Ok(known) = rest.get(&format!("/v1/identities/{}", name_in_path(given)?)).await
            else {
                return Err(failure);
            };
            text(&known, "identity")
        }
        found => found,
    }
}

/// Says how far a change has come.
fn changed(change: Result<Value, Failure>, json: bool) -> Result<(), Failure> {
    let change = change?;
    if json {
        return say_json(&change);
    }
    match text(&change, "state")?.as_str() {
        "pending" => say("Pending: it is durable here, and its commit has not come back yet."),
        _ => say(format_args!("Done, epoch {}.", change["epoch"])),
    }
    Ok(())
}
