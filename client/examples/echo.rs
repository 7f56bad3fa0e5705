//! An echo bot on this crate alone, without a gateway: it speaks QUIC with the node, and its MLS state
//! is in a folder of its own.
//!
//! ```sh
//! QPQ_NODE=127.0.0.1:7000 QPQ_NODE_FINGERPRINT=5e02... cargo run --example echo -p quicproquo-client
//! ```
//!
//! `qpq up` prints the node's address and the fingerprint of its certificate. `ECHO_NAME` is the name it
//! claims (`echo`), by which others invite it, and `ECHO_DATA` its folder (`echo-data`).

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use quicproquo_client::{
    Client, ClientConfig, Cursor, Event, EventData, Idempotency, InvitePolicy, Message,
    NodeAddress, Options, Outgoing, Pin, RelatesTo, Session, SessionError, Trust,
};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};

/// How many events are read at once.
const PAGE: u32 = 100;
/// How long to wait when too much waits for the node.
const PAUSE: Duration = Duration::from_secs(1);

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&mut io::stderr(), &format!("echo: {failure}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let node = node()?;
    let data = PathBuf::from(variable("ECHO_DATA").unwrap_or_else(|| "echo-data".to_owned()));
    fs::create_dir_all(&data)?;
    let client = Client::open(ClientConfig::new(&data, node)).await?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let result = tokio::select! {
        result = serve(&client, &data) => result,
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    };
    client.shutdown().await;
    result
}

/// Answers for ever.
async fn serve(client: &Client, data: &Path) -> Result<(), Failure> {
    let session = match client.sessions().into_iter().next() {
        Some(session) => session,
        None => client.create(None).await?,
    };
    session.set_invite_policy(InvitePolicy::All).await?;
    let name = variable("ECHO_NAME").unwrap_or_else(|| "echo".to_owned());
    while let Err(error) = session.claim_name(&name).await {
        if !matches!(error, SessionError::NodeUnreachable) {
            return Err(format!("the name {name}: {error}").into());
        }
        say(&mut io::stderr(), "the node does not answer yet");
    }
    say(&mut io::stdout(), &format!("listening as {name} ({})", session.identity()));

    // The place in the event log is this program's to keep. It moves after the work is done.
    let place = data.join("cursor");
    let mut cursor = match fs::read_to_string(&place) {
        Ok(text) => text.trim().parse()?,
        Err(_) => Cursor::default(),
    };
    let mut tail = session.tail();
    loop {
        let page = session.events(cursor, PAGE).await?;
        for event in &page.items {
            handle(&session, event).await?;
        }
        if page.next != cursor {
            cursor = page.next;
            write_whole(&place, &cursor.to_string())?;
        }
        if page.items.is_empty() {
            tail.wait_for(|newest| *newest != cursor).await?;
        }
    }
}

/// What the bot says to a text, if anything: the part to change.
fn answer(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Answers an event. When it comes again, the key keeps it from being answered twice.
async fn handle(session: &Session, event: &Event) -> Result<(), Failure> {
    let EventData::MessageReceived(message) = &event.data else { return Ok(()) };
    if message.kind != "text" {
        return Ok(());
    }
    let Some(said) = message.body["body"].as_str().and_then(answer) else { return Ok(()) };
    let reply = Outgoing {
        kind: "text".to_owned(),
        body: serde_json::json!({ "body": said }),
        relates_to: Some(RelatesTo { rel: "reply".to_owned(), id: message.id }),
    };
    loop {
        let options = Options { idempotency: Some(key(message)), ..Options::default() };
        match session.send(message.group.clone(), reply.clone(), options).await {
            Ok(_) => return Ok(()),
            Err(SessionError::OutboxFull | SessionError::IdempotencyRunning) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error @ SessionError::StorageUnavailable) => return Err(error.into()),
            // Such as a group that the bot has left meanwhile.
            Err(error) => {
                say(&mut io::stderr(), &format!("{} has no answer: {error}", event.cursor));
                return Ok(());
            }
        }
    }
}

fn key(message: &Message) -> Idempotency {
    let key = format!("echo-{}-{}-{}", message.group, message.sender, message.id);
    // The answer depends on nothing but the message.
    let fingerprint = Sha256::digest(key.as_bytes()).into();
    Idempotency { key, fingerprint }
}

/// The node, from the environment.
fn node() -> Result<NodeAddress, Failure> {
    let address = variable("QPQ_NODE").ok_or("set QPQ_NODE to the node's address, host:port")?;
    let addr: SocketAddr =
        address.parse().map_err(|_| format!("QPQ_NODE is no address with a port: {address}"))?;
    let digits = variable("QPQ_NODE_FINGERPRINT")
        .ok_or("set QPQ_NODE_FINGERPRINT to what `qpq up` prints")?;
    let mut fingerprint = [0; 32];
    hex::decode_to_slice(digits.replace(':', ""), &mut fingerprint)
        .map_err(|_| "QPQ_NODE_FINGERPRINT is not 64 hexadecimal digits")?;
    let trust = Trust::Pin(Pin::new(fingerprint));
    Ok(NodeAddress { addr, server_name: addr.ip().to_string(), trust })
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, with its own settings")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Replaces a file by one that is whole.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(part, path)
}

fn say(to: &mut dyn Write, line: &str) {
    // A closed pipe is no reason to stop.
    let _ = writeln!(to, "{line}").and_then(|()| to.flush());
}
