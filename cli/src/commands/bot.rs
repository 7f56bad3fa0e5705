//! `qpq bot`: the bots of a gateway, and their tokens, for its admin.

mod archive;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::args::{Bot, BotCommand, BotToken, InvitePolicy};
use crate::clock::unix_seconds;
use crate::config::Settings;
use crate::exit::Failure;
use crate::files::{new_secret, wrong};
use crate::output::{Table, date, printable, say, say_json};
use crate::rest::{self, Rest, find, find_bot, find_token, text};

/// Runs one of the commands.
pub(crate) async fn run(settings: &Settings, bot: Bot) -> Result<(), Failure> {
    let rest = rest::admin(settings, &bot.access)?;
    let json = bot.access.json;
    match bot.command {
        BotCommand::Create { name, invite, save_token } => {
            let save = save_token.as_deref().map(new_secret).transpose()?;
            let body = match invite {
                Some(invite) => json!({ "name": name, "invite": invite }),
                None => json!({ "name": name }),
            };
            let made = rest.post("/v1/bots", &body).await;
            hand_over(made, save.as_ref().zip(save_token.as_deref()), json)
        }
        BotCommand::List => list(&rest, json).await,
        BotCommand::Show { bot } => {
            let id = find_bot(&rest, &bot).await?;
            let bot = rest.get(&format!("/v1/bots/{id}")).await?;
            if json { say_json(&bot) } else { show(&bot) }
        }
        BotCommand::Delete { bot, yes } => {
            let id = find_bot(&rest, &bot).await?;
            if !yes {
                confirm(&bot)?;
            }
            rest.delete(&format!("/v1/bots/{id}")).await?;
            if json {
                say_json(&json!({ "deleted": id }))
            } else {
                done(format_args!("{bot} is deleted"))
            }
        }
        BotCommand::Token(token) => tokens(&rest, token, json).await,
        BotCommand::Export { bot, to, passphrase_file } => {
            let id = find_bot(&rest, &bot).await?;
            let exported = archive::export(&rest, &id, &to, &passphrase_file).await?;
            if json {
                return say_json(&exported);
            }
            done(format_args!(
                "{} stands still here now; its archive is in {}. Import it elsewhere, then delete it here.",
                text(&exported, "name")?,
                to.display()
            ))
        }
        BotCommand::Import { from, passphrase_file, save_token } => {
            let body = archive::request(&from, &passphrase_file)?;
            let save = save_token.as_deref().map(new_secret).transpose()?;
            let made = rest.post("/v1/bots/import", &body).await;
            hand_over(made, save.as_ref().zip(save_token.as_deref()), json)
        }
        BotCommand::Invitations { bot, policy, from } => {
            let id = find_bot(&rest, &bot).await?;
            invitations(&rest, &id, policy, &from, json).await
        }
        BotCommand::Resume { bot } => {
            let id = find_bot(&rest, &bot).await?;
            let body = json!({ "state": "running" });
            let changed = rest.patch(&format!("/v1/bots/{id}"), &body).await?;
            if json {
                return say_json(&changed);
            }
            done(format_args!(
                "{} goes on here: {}",
                text(&changed, "name")?,
                text(&changed, "state")?
            ))
        }
    }
}

/// Shows what becomes of a bot's invitations, or changes it.
async fn invitations(
    rest: &Rest,
    id: &str,
    policy: Option<InvitePolicy>,
    from: &[String],
    json: bool,
) -> Result<(), Failure> {
    let path = format!("/v1/bots/{id}");
    let bot = match policy {
        None => rest.get(&path).await?,
        Some(policy) => {
            let mut invite_policy = json!({ "policy": policy.word() });
            if policy == InvitePolicy::Allow {
                invite_policy["identities"] = json!(identities(rest, from).await?);
            }
            rest.patch(&path, &json!({ "invite_policy": invite_policy })).await?
        }
    };
    let policy = &bot["invite_policy"];
    if json {
        return say_json(policy);
    }
    done(text(policy, "policy")?)?;
    let allowed = policy["identities"].as_array().into_iter().flatten();
    allowed.filter_map(Value::as_str).try_for_each(done)
}

/// The identities of bots of this gateway, by their names; others are given as they are.
async fn identities(rest: &Rest, given: &[String]) -> Result<Vec<String>, Failure> {
    let bots = rest.items("/v1/bots").await?;
    let is_identity = |who: &str| who.len() == 64 && who.bytes().all(|b| b.is_ascii_hexdigit());
    let found = given.iter().map(|who| {
        if is_identity(who) {
            return Ok(who.to_ascii_lowercase());
        }
        let bot = find("bot", who, &bots, "bot_id", &["name"])?;
        let bot = bots.iter().find(|found| found["bot_id"] == bot).unwrap_or(&Value::Null);
        text(bot, "identity")
    });
    found.collect()
}

async fn list(rest: &Rest, json: bool) -> Result<(), Failure> {
    let bots = rest.items("/v1/bots").await?;
    if json {
        return bots.iter().try_for_each(say_json);
    }
    let mut table = Table::new(["NAME", "STATE", "ID", "IDENTITY"]);
    for bot in &bots {
        let field = |name| text(bot, name);
        table.row([field("name")?, field("state")?, field("bot_id")?, field("identity")?]);
    }
    table.print("There are no bots. `qpq bot create NAME` makes one.");
    Ok(())
}

fn show(bot: &Value) -> Result<(), Failure> {
    for (title, field) in [("Name", "name"), ("State", "state"), ("Id", "bot_id")] {
        say(format_args!("{title:<14}{}", text(bot, field)?));
    }
    say(format_args!("{:<14}{}", "Identity", text(bot, "identity")?));
    say(format_args!("{:<14}{}", "Created", text(bot, "created_at")?));
    let health = &bot["health"];
    say(format_args!("{:<14}{}", "Outbox", health["outbox"]));
    for stock in health["key_packages"].as_array().into_iter().flatten() {
        let suite = stock["ciphersuite"].as_str().unwrap_or_default();
        say(format_args!("{:<14}{} of {suite}", "Key packages", stock["count"]));
    }
    if let Some(policy) = bot["invite_policy"]["policy"].as_str() {
        say(format_args!("{:<14}{policy}", "Invitations"));
    }
    if let Some(reason) = health["reason"].as_str() {
        say(format_args!("{:<14}{}", "Reason", printable(reason)));
    }
    Ok(())
}

async fn tokens(rest: &Rest, command: BotToken, json: bool) -> Result<(), Failure> {
    match command {
        BotToken::Issue { bot, label, scope, group, ttl, save_token } => {
            let id = find_bot(rest, &bot).await?;
            let save = save_token.as_deref().map(new_secret).transpose()?;
            let mut body = json!({ "label": label });
            if !scope.is_empty() {
                body["scopes"] = json!(scope);
            }
            if !group.is_empty() {
                body["groups"] = json!(group);
            }
            if let Some(ttl) = ttl {
                body["expires_at"] = json!(date(unix_seconds().saturating_add(ttl.as_secs())));
            }
            let issued = rest.post(&format!("/v1/bots/{id}/tokens"), &body).await;
            hand_over(issued, save.as_ref().zip(save_token.as_deref()), json)
        }
        BotToken::List { bot } => {
            let id = find_bot(rest, &bot).await?;
            let tokens = rest.items(&format!("/v1/bots/{id}/tokens")).await?;
            if json {
                return tokens.iter().try_for_each(say_json);
            }
            let mut table = Table::new(["ID", "LABEL", "EXPIRES", "SCOPES"]);
            for token in &tokens {
                let expires = token["expires_at"].as_str().unwrap_or("never").to_owned();
                let scopes = token["scopes"].as_array().into_iter().flatten();
                let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
                let label = text(token, "label")?;
                table.row([text(token, "token_id")?, label, expires, scopes.join(",")]);
            }
            table.print("It has no tokens.");
            Ok(())
        }
        BotToken::Revoke { bot, token } => {
            let id = find_bot(rest, &bot).await?;
            let token = find_token(rest, &id, &token).await?;
            rest.delete(&format!("/v1/bots/{id}/tokens/{token}")).await?;
            if json {
                return say_json(&json!({ "revoked": token }));
            }
            done(format_args!("{token} is revoked"))
        }
    }
}

/// Prints an answer with a token, or keeps the token in a file and prints the rest.
fn hand_over(
    answer: Result<Value, Failure>,
    save: Option<(&File, &Path)>,
    json: bool,
) -> Result<(), Failure> {
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            if let Some((_, path)) = save {
                let _ = std::fs::remove_file(path);
            }
            return Err(failure);
        }
    };
    if let Some((mut file, path)) = save {
        let token = text(&answer, "token")?;
        let kept = writeln!(file, "{token}").and_then(|()| file.sync_all());
        kept.map_err(|error| wrong(path, error))?;
        answer["token"] = Value::Null;
        answer["token_file"] = json!(path);
    }
    if json {
        return say_json(&answer);
    }
    for (title, field) in [("Name", "name"), ("Identity", "identity"), ("Label", "label")] {
        if let Some(value) = answer[field].as_str().filter(|value| !value.is_empty()) {
            say(format_args!("{title:<10}{}", printable(value)));
        }
    }
    match save {
        Some((_, path)) => say(format_args!("{:<10}in {}", "Token", path.display())),
        None => say(format_args!(
            "{:<10}{}\n\nThe token is not shown again.",
            "Token",
            text(&answer, "token")?
        )),
    }
    Ok(())
}

/// Only whoever is asked and says so deletes a bot.
fn confirm(bot: &str) -> Result<(), Failure> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(Failure::usage("a deleted bot does not come back: say --yes"));
    }
    let _ = write!(stderr, "Delete {bot}, with all its keys and messages? [y/N] ");
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(Failure::other)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::other("nothing is deleted")),
    }
}

fn done(line: impl std::fmt::Display) -> Result<(), Failure> {
    crate::output::print(line)
}
