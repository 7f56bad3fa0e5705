//! A speaker and a listener in a group; the other members only have key packages.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use quicproquo_client::bench::{Crowd, Dam, Packages};
use quicproquo_client::{
    Client, ClientConfig, Cursor, GroupId, IdentityKey, InvitePolicy, NewGroup, Options, Outgoing,
    Profile, Session, Suite,
};
use tempfile::TempDir;

use super::super::Sample;
use super::super::host::{Host, scratch};
use super::{BYTES, IN_FLIGHT};
use crate::clock::Stopwatch;
use crate::exit::Failure;

/// Members that one commit adds.
const ADDED: usize = 200;
const PATIENCE: Duration = Duration::from_mins(1);

/// The group and its two clients.
pub(super) struct Room {
    pub(super) suite: Suite,
    pub(super) members: usize,
    dir: TempDir,
    clients: [Client; 2],
    speaker: Session,
    listener: Session,
    config: ClientConfig,
    group: GroupId,
}

impl Room {
    pub(super) async fn fill(
        dir: &Path,
        host: &Host,
        suite: Suite,
        members: usize,
    ) -> Result<Self, Failure> {
        let dir = scratch(dir)?;
        let config = |name: &str| ClientConfig {
            key_package_stock: 4,
            ..ClientConfig::new(dir.path().join(name), host.address().clone())
        };
        let clients = [Client::open(config("a")).await?, Client::open(config("b")).await?];
        let speaker = bot(&clients[0]).await?;
        let listener = bot(&clients[1]).await?;
        let crowd = Crowd::generate(members - 2);
        if members > 2 {
            let load = host.connect(&crowd).await?;
            let making = crowd.clone();
            let packages = tokio::task::spawn_blocking(move || Packages::of(suite, &making, 1));
            let packages = packages.await.map_err(Failure::other)?.map_err(Failure::other)?;
            load.publish(&packages, 1, 8).await.map_err(Failure::other)?;
        }
        let mut others: Vec<IdentityKey> = vec![listener.identity()];
        others.extend(crowd.identities());
        let group = create(&speaker, suite, Vec::new()).await?;
        for added in others.chunks(ADDED) {
            speaker.invite(group.clone(), added.to_vec(), patient()).await?;
        }
        let config = config("b");
        Ok(Self { suite, members, dir, clients, speaker, listener, config, group })
    }

    /// Stops the listener once it is in the newest epoch; answers the end of its log.
    pub(super) async fn close_listener(&self) -> Cursor {
        let newest = self.speaker.group(&self.group).await.map_or(0, |group| group.epoch);
        for _ in 0..PATIENCE.as_millis() / 10 {
            let here = self.listener.group(&self.group).await;
            if here.is_ok_and(|group| group.epoch == newest) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let tail = *self.listener.tail().borrow();
        self.clients[1].shutdown().await;
        tail
    }

    /// Messages per second from the first call until the database has the last, or the node.
    pub(super) async fn send_all(&self, count: usize, deliver: bool) -> Result<f64, Failure> {
        let messages: Vec<Outgoing> = (0..count).map(message).collect();
        let watch = Stopwatch::start();
        stream::iter(messages)
            .map(|message| async move {
                let options = if deliver { patient() } else { Options::default() };
                self.speaker.send(self.group.clone(), message, options).await.map(drop)
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        Ok(per_second(count, watch))
    }

    /// Nanoseconds of each message until the database has it.
    pub(super) async fn send_each(&self, count: usize) -> Result<Sample, Failure> {
        let mut sample = Sample::default();
        for message in (0..count).map(message) {
            let watch = Stopwatch::start();
            self.speaker.send(self.group.clone(), message, Options::default()).await?;
            sample.push(watch.nanos());
        }
        Ok(sample)
    }

    /// The listener comes back: messages per second until it has all, and bytes that it writes
    /// for each.
    pub(super) async fn receive_all(
        &self,
        mut after: Cursor,
        count: usize,
    ) -> Result<(f64, f64), Failure> {
        let watch = Stopwatch::start();
        let client = Client::open(self.config.clone()).await?;
        let listener = client
            .session(&self.listener.identity())
            .ok_or_else(|| Failure::other("the listener is gone"))?;
        let mut tail = listener.tail();
        let mut read = 0;
        while read < count {
            let page = listener.events(after, 1000).await?;
            if page.items.is_empty() {
                tokio::time::timeout(PATIENCE, tail.changed())
                    .await
                    .map_err(|_| Failure::other("messages do not arrive"))?
                    .map_err(Failure::other)?;
            }
            read += page.items.len();
            after = page.next;
        }
        let rate = per_second(count, watch);
        let bytes = client.usage().written_bytes;
        client.shutdown().await;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let bytes = bytes as f64 / count as f64;
        Ok((rate, bytes))
    }

    /// The listener comes back, and its rows are handed over to it when all are there: messages per
    /// second until the last is in its log. They are at most [`Dam::ROWS`].
    pub(super) async fn take_all(&self, count: usize) -> Result<f64, Failure> {
        let mut dam = Dam::open(self.config.clone()).await.map_err(Failure::other)?;
        let listener = dam.session(&self.listener.identity()).map_err(Failure::other)?;
        let filled = tokio::time::timeout(PATIENCE, dam.fill(count)).await;
        filled.map_err(Failure::other)?.map_err(Failure::other)?;
        let watch = Stopwatch::start();
        let taken = tokio::time::timeout(PATIENCE, dam.release(&listener, count as u64)).await;
        taken.map_err(Failure::other)?.map_err(Failure::other)?;
        let rate = per_second(count, watch);
        dam.client().shutdown().await;
        Ok(rate)
    }

    /// Waits until the link is down.
    pub(super) async fn settle(&self) {
        for _ in 0..100 {
            if self.speaker.health().link != quicproquo_client::LinkState::Up {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Bytes that the speaker has written.
    pub(super) fn written(&self) -> u64 {
        self.clients[0].usage().written_bytes
    }

    /// Bytes for each message since then.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub(super) fn written_since(&self, before: u64, count: usize) -> f64 {
        (self.written() - before) as f64 / count as f64
    }

    pub(super) async fn close(self) {
        self.clients[0].shutdown().await;
        drop(self.dir);
    }
}

/// A bot that is in every group it is invited to.
pub(super) async fn bot(client: &Client) -> Result<Session, Failure> {
    let session = client.create(None).await?;
    session.set_invite_policy(InvitePolicy::All).await?;
    for _ in 0..PATIENCE.as_millis() / 10 {
        let health = session.health();
        if health.stock.len() == Suite::ALL.len() && health.stock.iter().all(|(_, n)| *n > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(session)
}

pub(super) async fn create(
    by: &Session,
    suite: Suite,
    members: Vec<IdentityKey>,
) -> Result<GroupId, Failure> {
    let name = "bench".to_owned();
    let (topic, profile) = (String::new(), Profile::Standard);
    let new = NewGroup { name, topic, members, suite, profile };
    Ok(by.create_group(new, patient()).await?.value.group.id)
}

pub(super) fn patient() -> Options {
    Options { wait: PATIENCE, ..Options::default() }
}

/// A message of a kilobyte that begins with its number.
pub(super) fn message(number: usize) -> Outgoing {
    let body = serde_json::json!({ "body": format!("{number:0>BYTES$}") });
    Outgoing { kind: "text".into(), body, relates_to: None }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(super) fn per_second(count: usize, watch: Stopwatch) -> f64 {
    count as f64 / watch.elapsed().as_secs_f64()
}
