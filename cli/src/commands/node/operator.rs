//! `qpq node identity`, `invite`, `name`: who may use a node, and under which names.

use quicproquo_node::{Clock, IdentityKey, InviteInfo, NameInfo, Operator};
use serde_json::json;

use crate::args::{InviteCreate, NameRelease, NodeIdentity, NodeInvite, NodeName};
use crate::config::Settings;
use crate::data_dir;
use crate::exit::Failure;
use crate::output::{date, say, say_json};

async fn operator(settings: &Settings) -> Result<Operator, Failure> {
    let dir = data_dir::of_node(&settings.data_dir)?;
    Ok(Operator::open(&dir, Clock::system()).await?)
}

/// `qpq node identity`.
pub(crate) async fn identity(settings: &Settings, command: NodeIdentity) -> Result<(), Failure> {
    let mut operator = operator(settings).await?;
    match command {
        NodeIdentity::List { json } => {
            for info in operator.identities().await? {
                if json {
                    say_json(&json!({
                        "identity": info.identity.to_string(),
                        "registered": info.registered,
                        "banned": info.banned,
                        "names": info.names,
                    }))?;
                } else {
                    let state = match (info.banned, info.registered) {
                        (true, _) => "banned",
                        (false, true) => "registered",
                        (false, false) => "unknown",
                    };
                    let names = info.names.join(", ");
                    say(format_args!("{}  {state:<10}  {names}", info.identity));
                }
            }
        }
        NodeIdentity::Ban { identity } => {
            let changed = operator.ban(identity).await?;
            say(format_args!("{identity} {}", told(changed, "is banned", "was banned already")));
        }
        NodeIdentity::Unban { identity } => {
            let changed = operator.unban(identity).await?;
            say(format_args!("{identity} {}", told(changed, "may come again", "was not banned")));
        }
    }
    Ok(())
}

const fn told(changed: bool, now: &'static str, before: &'static str) -> &'static str {
    if changed { now } else { before }
}

/// `qpq node invite`.
pub(crate) async fn invite(settings: &Settings, command: NodeInvite) -> Result<(), Failure> {
    let mut operator = operator(settings).await?;
    match command {
        NodeInvite::Create(InviteCreate { uses, ttl, label, json }) => {
            let life = ttl.map(|ttl| ttl.as_secs());
            let invite = operator.create_invite(&label, uses, life).await?;
            if json {
                say_json(&json!({ "id": invite.id, "invite": invite.code(), "uses": uses }))?;
            } else {
                say(format_args!(
                    "Invite     {}\nId         {}\nUses       {uses}\n\n\
                     A gateway takes it as --node-invite, a single bot as `invite` in POST \
                     /v1/bots. It is not shown again.",
                    invite.code(),
                    invite.id,
                ));
            }
        }
        NodeInvite::List { json } => {
            for info in operator.invites().await? {
                show_invite(&info, json)?;
            }
        }
        NodeInvite::Revoke { id } => {
            if !operator.revoke_invite(id).await? {
                return Err(Failure::other(format!("there is no invite {id}")));
            }
            say(format_args!("invite {id} is revoked"));
        }
    }
    Ok(())
}

fn show_invite(info: &InviteInfo, json: bool) -> Result<(), Failure> {
    if json {
        return say_json(&json!({
            "id": info.id,
            "label": info.label,
            "uses": info.uses,
            "uses_left": info.uses_left,
            "created_at": date(info.created_at),
            "expires_at": info.expires_at.map(date),
        }));
    }
    let end = info.expires_at.map_or("never".to_owned(), |end| date(end));
    let InviteInfo { id, uses, uses_left, label, .. } = info;
    say(format_args!("{id}  {uses_left} of {uses} uses left, ends {end}  {label}"));
    Ok(())
}

/// `qpq node name`.
pub(crate) async fn name(settings: &Settings, command: NodeName) -> Result<(), Failure> {
    let mut operator = operator(settings).await?;
    match command {
        NodeName::List { json } => {
            for info in operator.names().await? {
                show_name(&info, json)?;
            }
        }
        NodeName::Release(NameRelease { name, to, to_anyone: _ }) => {
            if !operator.release_name(&name, to).await? {
                let message = format!("{name} is not the name of a deleted identity");
                return Err(Failure::other(message));
            }
            let whom = to.map_or("the first who comes".to_owned(), |to| to.to_string());
            say(format_args!("{name} can be claimed by {whom}"));
        }
    }
    Ok(())
}

fn show_name(info: &NameInfo, json: bool) -> Result<(), Failure> {
    let hex = |key: Option<IdentityKey>| key.map(|key| key.to_string());
    let NameInfo { name, owner, heir } = info;
    if json {
        let line = json!({ "name": name, "identity": hex(*owner), "heir": hex(*heir) });
        return say_json(&line);
    }
    match (owner, heir) {
        (Some(owner), _) => say(format_args!("{name}  {owner}")),
        (None, Some(heir)) => say(format_args!("{name}  deleted, kept for {heir}")),
        (None, None) => say(format_args!("{name}  deleted")),
    }
    Ok(())
}
