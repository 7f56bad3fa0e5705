//! Memory of one process with many bots in many groups.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use quicproquo_client::{Client, ClientConfig, Session, Suite};

use super::super::host::{Host, resident, scratch};
use super::super::report::{Report, Row};
use super::room::{bot, create, message, patient};
use crate::exit::Failure;
use crate::output::progress;

/// Groups of each bot.
const GROUPS: usize = 200;
/// Members of each group, all of them bots of this process.
const MEMBERS: usize = 10;

pub(super) async fn measure(dir: &Path, bots: usize) -> Result<Report, Failure> {
    let host = Host::start(dir).await?;
    let dir = scratch(dir)?;
    let config = ClientConfig::new(dir.path().join("a"), host.address().clone());
    let mut report = Report::default();
    let mib = |value| Row::plain("MiB", value);
    report.add("a node alone", mib(resident()));
    let client = Client::open(config.clone()).await?;
    let mut sessions = Vec::new();
    for _ in 0..bots {
        sessions.push(bot(&client).await?);
    }
    report.add(&format!("{bots} bots without groups"), mib(resident()));
    let groups = bots * GROUPS / MEMBERS;
    stream::iter(0..groups)
        .map(|n| {
            let sessions = &sessions;
            async move {
                if n % 100 == 0 {
                    progress(format_args!("group {n} of {groups}, {:.0} MiB", resident()));
                }
                // Another creator and other members each time.
                let apart = (1 + n % 9).min(sessions.len() / MEMBERS);
                let member = |k: usize| &sessions[(n * 7 + k * apart) % sessions.len()];
                let others = (1..MEMBERS).map(|k| member(k).identity()).collect();
                let suite = if n % 2 == 0 { Suite::Native } else { Suite::Envelope };
                let group = create(member(0), suite, others).await?;
                member(0).send(group, message(n), patient()).await?;
                Ok::<_, Failure>(())
            }
        })
        .buffer_unordered(4)
        .try_collect::<()>()
        .await?;
    quiet(&sessions).await;
    add_usage(&mut report, "after all has happened", &client);
    client.shutdown().await;
    report.add("the client closed", mib(resident()));
    let client = Client::open(config).await?;
    quiet(&client.sessions()).await;
    add_usage(&mut report, "after another start", &client);
    client.shutdown().await;
    drop(client);
    host.stop().await?;
    report.add("all closed: what the allocator keeps", mib(resident()));
    Ok(report)
}

fn add_usage(report: &mut Report, name: &str, client: &Client) {
    let usage = client.usage();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let rows = [
        ("", "MiB", resident()),
        (": groups loaded", "", usage.loaded_groups as f64),
        (": their weight", "MiB", usage.loaded_bytes as f64 / (1024.0 * 1024.0)),
    ];
    for (what, unit, value) in rows {
        report.add(&format!("{name}{what}"), Row::plain(unit, value));
    }
}

/// Waits until no log grows any more.
async fn quiet(sessions: &[Session]) {
    let tails = || sessions.iter().map(|session| *session.tail().borrow()).collect::<Vec<_>>();
    let mut before = tails();
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = tails();
        if now == before {
            return;
        }
        before = now;
    }
}
