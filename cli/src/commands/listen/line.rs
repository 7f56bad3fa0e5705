//! An event as a line for people.

use std::collections::HashMap;

use serde_json::Value;

use crate::output::{bold, dim, printable, printable_lines};
use crate::rest::{Rest, group_names};

/// Digits of an id that has no name.
const SHORT: usize = 8;

/// What the bot's groups are called.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The line of an event; asks for the names of groups that it does not know yet.
    pub(super) async fn line(&mut self, rest: &Rest, event: &Value) -> String {
        let group = match event["group_id"].as_str() {
            Some(id) => {
                let renamed = event["type"] == "group.renamed";
                if renamed || !self.0.contains_key(id) {
                    self.0 = group_names(rest).await;
                }
                // What has no name now needs not be asked for again.
                self.0.entry(id.to_owned()).or_insert_with(|| short(id)).clone()
            }
            None => "-".to_owned(),
        };
        let at = event["occurred_at"].as_str().and_then(|at| at.get(11..19)).unwrap_or_default();
        format!("{} {} {}", dim(at), printable(&group), what(event))
    }
}

fn short(id: &str) -> String {
    id.chars().take(SHORT).collect()
}

fn who(identity: &Value) -> String {
    let name = identity["name"].as_str().map(str::to_owned);
    printable(&name.or_else(|| identity["identity"].as_str().map(short)).unwrap_or_default())
}

/// What has happened.
fn what(event: &Value) -> String {
    let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
    let text = |field: &str| printable(data[field].as_str().unwrap_or_default());
    match kind {
        "message.received" | "message.sent" => {
            format!("{}: {}", bold(&who(&data["sender"])), said(data))
        }
        "message.failed" => {
            let reason = printable(data["delivery"]["reason"].as_str().unwrap_or_default());
            format!("* not sent ({reason}): {}", said(data))
        }
        "invitation.received" => format!(
            "* {} invites into {}: qpq invitation accept {}",
            who(&data["inviter"]),
            text("group_name"),
            text("invitation_id"),
        ),
        "group.renamed" => format!("* renamed to {}", text("name")),
        "member.typing" if data["active"] == true => {
            format!("* {} is writing", who(&data["sender"]))
        }
        "member.typing" => format!("* {} has stopped writing", who(&data["sender"])),
        _ => match data["reason"].as_str() {
            Some(reason) => format!("* {kind}: {}", printable(reason)),
            None => format!("* {kind}"),
        },
    }
}

/// What a message says; further lines are set in.
fn said(message: &Value) -> String {
    let content = &message["content"];
    match message["type"].as_str().unwrap_or_default() {
        "text" | "edit" => {
            let body = content["body"].as_str().unwrap_or_default();
            printable_lines(body).collect::<Vec<_>>().join("\n    ")
        }
        "file" => {
            let name = printable(content["name"].as_str().unwrap_or("a file"));
            let id = printable(content["attachment_id"].as_str().unwrap_or_default());
            format!("[file {name}, {} bytes: qpq download {id}]", content["size"])
        }
        "reaction" => {
            let key = printable(content["key"].as_str().unwrap_or_default());
            if content["active"] == false {
                format!("[takes {key} back]")
            } else {
                format!("[{key}]")
            }
        }
        other => format!("[{}]", printable(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_lines_that_do_not_steer_the_terminal() {
        let sender = json!({ "identity": "ab".repeat(32), "name": "bob" });
        let message = |kind: &str, content| {
            let data = json!({ "sender": sender, "type": kind, "content": content });
            what(&json!({ "type": "message.received", "data": data }))
        };
        assert_eq!(message("text", json!({ "body": "a\nb\x1b[2J" })), "bob: a\n    b\u{fffd}[2J");
        let file = json!({ "name": "x", "size": 3, "attachment_id": "1c" });
        assert_eq!(message("file", file), "bob: [file x, 3 bytes: qpq download 1c]");
        assert_eq!(message("reaction", json!({ "key": "👍" })), "bob: [👍]");
        let unknown = json!({ "identity": "ab".repeat(32), "name": null });
        assert_eq!(who(&unknown), "abababab");
    }
}
