//! `qpq send`: messages from the command line, a file, or a pipe.

use std::io::{BufRead, Read};
use std::path::Path;

use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio_util::io::ReaderStream;

use crate::args::Send;
use crate::config::Settings;
use crate::exit::Failure;
use crate::files::{mime, wrong};
use crate::output::{print_on, transfer};
use crate::rest::{self, Rest, escape, find_group, text};

/// Most that a line of standard input may have, in bytes: a whole request.
const MAX_LINE: usize = 1024 * 1024;

/// Who sends where, and how.
struct Sender {
    rest: Rest,
    group: Option<String>,
    send: Send,
}

/// Sends what was given, or each line of standard input.
pub(crate) async fn run(settings: &Settings, send: Send) -> Result<(), Failure> {
    let rest = rest::bot(settings, &send.access)?.patient(send.retry);
    let group = match &send.group {
        Some(group) => Some(find_group(&rest, group).await?),
        None => None,
    };
    let sender = Sender { rest, group, send };
    if let Some(path) = &sender.send.file {
        let content = sender.upload(path).await?;
        return sender.one(sender.message("file", &content)).await.map(|_| ());
    }
    if let Some(text) = &sender.send.text {
        return sender.one(sender.message("text", &json!({ "body": text }))).await.map(|_| ());
    }
    let mut lines = Lines::default();
    while let Some((number, line)) = lines.next()? {
        let message = if sender.send.messages {
            serde_json::from_str(&line)
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| Failure::usage(format!("line {number} is no JSON object")))?
        } else {
            sender.message("text", &json!({ "body": line }))
        };
        if !sender.one(message).await? {
            break;
        }
    }
    Ok(())
}

impl Sender {
    fn message(&self, kind: &str, content: &Value) -> Value {
        json!({ "type": kind, "content": content, "reply_to": self.send.reply_to })
    }

    /// Sends one message; answers whether somebody reads on.
    async fn one(&self, message: Value) -> Result<bool, Failure> {
        let Value::Object(mut message) = message else {
            return Err(Failure::usage("a message is a JSON object"));
        };
        let mut own = |field: &str| match message.remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (group, key) = (own("group_id"), own("idempotency_key"));
        let group = match (&self.group, group) {
            (Some(group), _) => group.clone(),
            (None, Some(group)) => find_group(&self.rest, &group).await?,
            (None, None) => {
                return Err(Failure::usage("a message has no group_id, and no --group is given"));
            }
        };
        let key = key.map_or_else(random_key, Ok)?;
        let wait = if self.send.wait { "?wait=60000" } else { "" };
        let path = format!("/v1/groups/{group}/messages{wait}");
        let request = async || Ok(self.rest.request(Method::POST, &path).json(&message));
        let sent = self.rest.insist(&key, self.send.retry, request).await?;
        if let Some(reason) = sent["delivery"]["reason"].as_str() {
            return Err(Failure::other(format!("the message was given up: {reason}")));
        }
        if self.send.access.json { print_on(&sent) } else { print_on(text(&sent, "message_id")?) }
    }

    /// Uploads a file; answers the content of its message.
    async fn upload(&self, path: &Path) -> Result<Value, Failure> {
        let of_file = |error: std::io::Error| wrong(path, error);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| Failure::usage(format!("{} has no name", path.display())))?;
        let to = format!("/v1/attachments?filename={}", escape(&name));
        let request = async || {
            let file = tokio::fs::File::open(path).await.map_err(of_file)?;
            let facts = file.metadata().await.map_err(of_file)?;
            if !facts.is_file() {
                return Err(Failure::usage(format!("{} is no file", path.display())));
            }
            let bar = transfer(&name, facts.len());
            let body = Body::wrap_stream(ReaderStream::new(bar.wrap_async_read(file)));
            Ok(self.rest.request(Method::POST, &to).header("Content-Type", mime(path)).body(body))
        };
        let mut content = self.rest.insist(&random_key()?, self.send.retry, request).await?;
        if let Some(caption) = &self.send.text {
            content["caption"] = json!(caption);
        }
        Ok(content)
    }
}

/// A key that nobody else has.
fn random_key() -> Result<String, Failure> {
    let mut key = [0_u8; 16];
    getrandom::fill(&mut key).map_err(|error| Failure::other(format!("random bytes: {error}")))?;
    Ok(hex::encode(key))
}

/// The lines of standard input that have something in them.
#[derive(Default)]
struct Lines {
    number: u64,
}

impl Lines {
    /// The next line and its number. It is waited for in place: nothing else is to be done.
    fn next(&mut self) -> Result<Option<(u64, String)>, Failure> {
        loop {
            let mut line = Vec::new();
            let limit = MAX_LINE as u64 + 1;
            let read =
                block_in_place(|| std::io::stdin().lock().take(limit).read_until(b'\n', &mut line));
            read.map_err(|error| Failure::other(format!("standard input: {error}")))?;
            if line.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            if line.len() > MAX_LINE {
                return Err(Failure::usage(format!("line {number} is longer than 1 MiB")));
            }
            let line = String::from_utf8(line)
                .map_err(|_| Failure::usage(format!("line {number} is not UTF-8")))?;
            let line = line.trim_end_matches(['\r', '\n']);
            if !line.trim().is_empty() {
                return Ok(Some((number, line.to_owned())));
            }
        }
    }
}
