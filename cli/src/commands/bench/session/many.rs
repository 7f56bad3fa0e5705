//! Many sessions of one process.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use quicproquo_client::{Client, ClientConfig, Suite};

use super::super::host::{Host, scratch};
use super::room::{bot, create, message, patient, per_second};
use crate::clock::Stopwatch;
use crate::exit::Failure;

/// Messages of a session under way at once.
const IN_FLIGHT: usize = 16;

/// Messages per second that the node takes of so many sessions together. Each sends in a group of
/// two, the other one of which is a session of another client.
pub(super) async fn rate(dir: &Path, sessions: usize, messages: usize) -> Result<f64, Failure> {
    let host = Host::start(dir).await?;
    let dir = scratch(dir)?;
    let config = |name: &str| ClientConfig {
        key_package_stock: 4,
        ..ClientConfig::new(dir.path().join(name), host.address().clone())
    };
    let (from, to) = (Client::open(config("a")).await?, Client::open(config("b")).await?);
    let mut pairs = Vec::new();
    for _ in 0..sessions {
        let (speaker, listener) = (bot(&from).await?, bot(&to).await?);
        let group = create(&speaker, Suite::Native, vec![listener.identity()]).await?;
        pairs.push((speaker, group));
    }
    let each = (messages / sessions).max(IN_FLIGHT);
    let watch = Stopwatch::start();
    stream::iter(&pairs)
        .map(|(speaker, group)| async move {
            let send = |n| speaker.send(group.clone(), message(n), patient());
            let sends = stream::iter(0..each).map(send).buffer_unordered(IN_FLIGHT);
            sends.map_ok(drop).try_collect::<()>().await
        })
        .buffer_unordered(sessions)
        .try_collect::<()>()
        .await?;
    let rate = per_second(each * sessions, watch);
    from.shutdown().await;
    to.shutdown().await;
    host.stop().await?;
    Ok(rate)
}
