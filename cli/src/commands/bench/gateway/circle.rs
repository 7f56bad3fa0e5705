//! Bots of one gateway in one group: one speaks, all others listen at their sockets.

use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::super::Sample;
use super::super::host::processor;
use super::ear::Ear;
use crate::clock::Stopwatch;
use crate::commands::bench::BYTES;
use crate::exit::Failure;
use crate::rest::{Rest, text};

/// Bots that are made at once.
const AT_ONCE: usize = 4;
/// Messages that wait for their turn or their answer, when they are sent by the clock.
const WAITING: usize = 1024;

/// Digits at the end of a body that are looked at: all others are zeros.
const DIGITS: usize = 20;

/// A bot.
#[derive(Clone)]
pub(super) struct Bot {
    pub(super) rest: Rest,
    pub(super) token: String,
    pub(super) identity: String,
}

/// Creates bots that are in every group they are invited to.
pub(super) async fn bots(admin: &Rest, count: usize) -> Result<Vec<Bot>, Failure> {
    stream::iter(0..count)
        .map(|n| async move {
            let bot = admin.post("/v1/bots", &json!({ "name": format!("bench-{n}") })).await?;
            let (id, token) = (text(&bot, "bot_id")?, text(&bot, "token")?);
            let policy = json!({ "invite_policy": { "policy": "all" } });
            admin.patch(&format!("/v1/bots/{id}"), &policy).await?;
            let identity = text(&bot, "identity")?;
            Ok(Bot { rest: admin.with_token(&token), token, identity })
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// A group of bots and the sockets of all but the first.
pub(super) struct Circle {
    speaker: Rest,
    path: String,
    ears: Vec<Ear>,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// So many at once, each new one when another is answered.
    InFlight(usize),
    /// So many per second, whatever becomes of them.
    PerSecond(usize),
}

/// What became of a load.
#[derive(Debug)]
pub(super) struct Spoken {
    /// Messages per second, from the first call until everybody has the last.
    pub(super) rate: f64,
    /// Nanoseconds from the call of each message until the last listener has it.
    pub(super) last: Sample,
    /// Microseconds of processor time for each message, of the whole process: node, gateway and
    /// the load itself.
    pub(super) processor: f64,
}

impl Circle {
    /// Puts bots into a new group and opens their sockets.
    pub(super) async fn gather(
        gateway: SocketAddr,
        bots: &[Bot],
        post_quantum: &str,
    ) -> Result<Self, Failure> {
        let (speaker, others) = bots.split_first().ok_or_else(|| Failure::other("no bots"))?;
        let members: Vec<&str> = others.iter().map(|bot| bot.identity.as_str()).collect();
        let new = json!({ "name": "bench", "members": members, "post_quantum": post_quantum });
        let group = text(&speaker.rest.post("/v1/groups", &new).await?, "group_id")?;
        let mut ears = Vec::new();
        for bot in others {
            ears.push(Ear::open(gateway, &bot.token, None).await?);
        }
        let path = format!("/v1/groups/{group}/messages");
        let mut circle = Self { speaker: speaker.rest.clone(), path, ears };
        // Who has not joined yet hears of it afterwards: then all are there.
        circle.speak(1, Load::InFlight(1)).await?;
        Ok(circle)
    }

    /// The speaker's group, as a path.
    pub(super) fn messages(&self) -> &str {
        &self.path
    }

    pub(super) fn speaker(&self) -> &Rest {
        &self.speaker
    }

    /// Sends messages and waits until everybody has all.
    pub(super) async fn speak(&mut self, count: usize, load: Load) -> Result<Spoken, Failure> {
        let (in_flight, pause) = match load {
            Load::InFlight(count) => (count, Duration::ZERO),
            Load::PerSecond(rate) => (WAITING, Duration::from_secs(1) / small(rate)),
        };
        let (watch, before, start) = (Stopwatch::start(), processor(), Instant::now());
        let (speaker, path) = (&self.speaker, &self.path);
        let sends = async {
            let send = |n| async move {
                if !pause.is_zero() {
                    sleep_until(start + pause * small(n)).await;
                }
                let began = watch.nanos();
                speaker.post(path, &message(n)).await?;
                Ok::<_, Failure>((n, began))
            };
            stream::iter(0..count)
                .map(send)
                .buffer_unordered(in_flight)
                .try_collect::<Vec<_>>()
                .await
        };
        let hears = self.ears.iter_mut().map(|ear| async move {
            let mut heard = Vec::with_capacity(count);
            while heard.len() < count {
                let number = ear.message(number).await?;
                heard.push((number, watch.nanos()));
            }
            Ok::<_, Failure>(heard)
        });
        // Only those that were woken are looked at, however few there are.
        let hears = hears.collect::<FuturesUnordered<_>>().try_collect::<Vec<_>>();
        let (sent, heard) = tokio::try_join!(sends, hears)?;
        let (elapsed, processor) = (watch.elapsed(), processor() - before);
        let mut last = vec![0; count];
        for (number, at) in heard.into_iter().flatten() {
            let slot = last.get_mut(number).ok_or_else(strange)?;
            *slot = at.max(*slot);
        }
        let mut sample = Sample::default();
        for (number, began) in sent {
            sample.push(last[number].saturating_sub(began));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = count as f64;
        let (rate, processor) = (count / elapsed.as_secs_f64(), processor / count);
        Ok(Spoken { rate, last: sample, processor })
    }
}

/// A message of a kilobyte that begins with its number.
pub(super) fn message(number: usize) -> Value {
    json!({ "type": "text", "content": { "body": format!("{number:0>BYTES$}") } })
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn number(body: &str) -> usize {
    let digits = body.get(body.len().saturating_sub(DIGITS)..).unwrap_or(body);
    digits.parse().unwrap_or(usize::MAX)
}

fn strange() -> Failure {
    Failure::other("a message came that nobody has sent")
}
