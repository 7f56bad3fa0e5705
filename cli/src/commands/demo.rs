//! `qpq demo`: two bots hold a short conversation through the real doors, and every step says
//! what happened underneath.

mod evidence;
mod story;

use tempfile::TempDir;

use crate::clock::Stopwatch;
use crate::config::Settings;
use crate::exit::Failure;
use crate::rest::{Rest, text};
use crate::shutdown::Signals;
use crate::stack::Stack;
use serde_json::{Value, json};
use story::{Story, detail, under};

/// What alice says; it is looked for in the node's files afterwards.
const HELLO: &str = "Hello bob, can you keep a secret?";
const ANSWER: &str = "Only you and I can read this.";

/// Runs the demo in a temporary directory, which is gone afterwards.
pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::install()?;
    let dir = TempDir::new().map_err(|e| Failure::other(format!("temporary directory: {e}")))?;
    let stack = Stack::up(&in_directory(settings, &dir)).await?;
    let told = tokio::select! {
        told = tell(&stack, &dir) => told,
        () = signals.end() => Err(Failure::other("interrupted")),
    };
    told.and(stack.stop().await)
}

/// The same settings, on free ports and in a directory of their own.
pub(crate) fn in_directory(mut settings: Settings, dir: &TempDir) -> Settings {
    dir.path().clone_into(&mut settings.data_dir);
    settings.http.listen = ([127, 0, 0, 1], 0).into();
    settings.node.listen = ([127, 0, 0, 1], 0).into();
    settings.node.certificate = None;
    settings.node.key = None;
    settings
}

/// The admin of a gateway that runs here.
pub(crate) fn admin(stack: &Stack) -> Result<Rest, Failure> {
    let gateway = stack.gateway_facts()?;
    let token = std::fs::read_to_string(&gateway.admin_token)
        .map_err(|error| Failure::other(format!("the admin token: {error}")))?;
    Rest::new(&gateway.url(), token.trim())
}

async fn tell(stack: &Stack, dir: &TempDir) -> Result<(), Failure> {
    let admin = admin(stack)?;
    let (node, gateway) = (stack.node_facts()?, stack.gateway_facts()?);
    let mut story = Story::begin();

    story.step("A node and a gateway start");
    detail(format_args!(
        "node     {} over QUIC, certificate {}",
        node.address,
        short(node.fingerprint)
    ));
    detail(format_args!("gateway  {}, Swagger UI at /docs", gateway.url()));

    let mut bots = Vec::new();
    for name in ["alice", "bob"] {
        story.step(format_args!("admin: POST /v1/bots {{\"name\":\"{name}\"}}"));
        let bot = admin.post("/v1/bots", &json!({ "name": name })).await?;
        let identity = text(&bot, "identity")?;
        detail(format_args!("201, identity {} (an Ed25519 key) and a token", short(&identity)));
        bots.push((admin.with_token(&text(&bot, "token")?), identity));
    }
    under("each proved its key to the node, claimed its name and published key packages");
    let (alice, bob) = (&bots[0].0, &bots[1].0);

    story.step("bob: GET /v1/events/ws");
    let mut bob_hears = bob.listen().await?;
    let mut alice_hears = alice.listen().await?;
    detail("a WebSocket on his event log; alice opens hers");

    story.step("alice: POST /v1/groups {\"name\":\"tea\",\"members\":[\"bob\"]}");
    let group = alice.post("/v1/groups", &json!({ "name": "tea", "members": ["bob"] })).await?;
    let id = text(&group, "group_id")?;
    detail(format_args!("201, group {}, epoch {}", short(&id), group["epoch"]));
    under("a key package of bob was claimed: the node hands each out once");
    under(format_args!(
        "alice's commit made epoch {}; his Welcome is in his queue",
        group["epoch"]
    ));

    let invitation = bob_hears.event("invitation.received").await?;
    story.step(format_args!("bob hears invitation.received: {}", invitation["data"]["group_name"]));
    let invitation = text(&invitation["data"], "invitation_id")?;
    bob.post(&format!("/v1/invitations/{invitation}/accept"), &json!({})).await?;
    detail("bob: POST /v1/invitations/{invitation_id}/accept, 200");

    for (who, speaker, hears, words) in
        [("alice", alice, &mut bob_hears, HELLO), ("bob", bob, &mut alice_hears, ANSWER)]
    {
        story.step(format_args!("{who}: POST /v1/groups/{}/messages", short(&id)));
        detail(format_args!("{{\"type\":\"text\",\"content\":{{\"body\":\"{words}\"}}}}"));
        let watch = Stopwatch::start();
        let path = format!("/v1/groups/{id}/messages");
        let body = json!({ "type": "text", "content": { "body": words } });
        let (sent, heard) = tokio::join!(speaker.post(&path, &body), hear(hears, watch));
        let (sent, (heard, milliseconds)) = (sent?, heard?);
        for line in envelope(&sent) {
            under(line);
        }
        detail(format_args!(
            "heard after {milliseconds:.1} ms as {}: {}",
            heard["type"].as_str().unwrap_or_default(),
            heard["data"]["content"]["body"]
        ));
    }

    story.step("alice: POST /v1/groups/{group_id}/update-keys");
    let changed = alice.post(&format!("/v1/groups/{id}/update-keys"), &json!({})).await?;
    detail(format_args!("200, epoch {}", changed["epoch"]));
    under("a commit with fresh keys: what was said before stays safe if they leak later");

    story.step("What does the node have of all this?");
    detail(evidence::search(&dir.path().join("node"), &[HELLO, ANSWER])?);
    story.end();
    Ok(())
}

/// The next message, and how long after the start of `watch` it came, in milliseconds.
async fn hear(
    listener: &mut crate::rest::Listener,
    watch: Stopwatch,
) -> Result<(Value, f64), Failure> {
    let event = listener.event("message.received").await?;
    Ok((event, watch.elapsed().as_secs_f64() * 1000.0))
}

/// What a sent message looks like below.
fn envelope(sent: &Value) -> [String; 2] {
    let (security, delivery) = (&sent["security"], &sent["delivery"]);
    let suite = security["ciphersuite"].as_str().unwrap_or("an unknown ciphersuite");
    let state = match delivery["state"].as_str() {
        Some("sent") => "durable at the node",
        _ => "durable here, on its way to the node",
    };
    [
        format!("encrypted in epoch {} with {suite}", sent["epoch"]),
        format!(
            "sealed with X25519 + ML-KEM-768 for {} recipient, {state}",
            delivery["recipients"]
        ),
    ]
}

/// The beginning of something long.
fn short(long: impl std::fmt::Display) -> String {
    let mut text = long.to_string();
    text.truncate(12);
    text + ".."
}
