//! The sockets and routes of a gateway by themselves: fan-out, idle sockets, a receiver that was
//! away, reads.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::Sample;
use super::super::host::resident;
use super::circle::{Bot, Circle, Load, message};
use super::crowd::Crowd;
use super::ear::{Ear, in_time};
use crate::clock::Stopwatch;
use crate::exit::Failure;
use crate::rest::Rest;

/// Sockets that are opened at once.
const AT_ONCE: usize = 16;
/// Messages that a receiver misses.
pub(super) const MISSED: usize = 200;
/// Reads in flight.
pub(super) const READS: usize = 16;

async fn open(gateway: SocketAddr, bot: &Bot, count: usize) -> Result<Vec<Ear>, Failure> {
    stream::iter(0..count)
        .map(|_| Ear::open(gateway, &bot.token, None))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Many sockets of one bot.
pub(super) struct Hall {
    crowd: Crowd,
    /// Memory of this process for each, in KiB, while nothing happens: the gateway's end of the
    /// connection, and a little of the bench's.
    pub(super) kib_each: f64,
}

impl Hall {
    pub(super) async fn fill(
        gateway: SocketAddr,
        bot: &Bot,
        count: usize,
    ) -> Result<Self, Failure> {
        // What the first ones need is not paid by the others.
        let mut ears = open(gateway, bot, count / 10).await?;
        let before = resident();
        ears.extend(open(gateway, bot, count - ears.len()).await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let kib_each = (resident() - before) * 1024.0 / (count - count / 10) as f64;
        Ok(Self { crowd: Crowd::of(ears), kib_each })
    }

    /// The text of a frame that has a message; every socket has it then.
    pub(super) async fn frame(&mut self, circle: &Circle) -> Result<Vec<u8>, Failure> {
        let body = message(0);
        let said = circle.speaker().post(circle.messages(), &body);
        let (frame, _) = tokio::try_join!(self.crowd.frame(), said)?;
        Ok(frame)
    }

    /// Nanoseconds from the call until each socket has the message, one message after the other.
    pub(super) async fn hear(
        &mut self,
        circle: &Circle,
        count: usize,
    ) -> Result<Vec<Sample>, Failure> {
        let mut rounds = Vec::new();
        for n in 0..count {
            let body = message(n);
            let said = async { circle.speaker().post(circle.messages(), &body).await.map(drop) };
            rounds.push(self.crowd.hear(said).await?);
        }
        Ok(rounds)
    }
}

/// Nanoseconds from the moment a consumer comes back until it has all that was said meanwhile.
pub(super) async fn come_back(
    gateway: SocketAddr,
    circle: &mut Circle,
    listener: &Bot,
    consumer: &str,
) -> Result<u64, Failure> {
    drop(Ear::open(gateway, &listener.token, Some(consumer)).await?);
    circle.speak(MISSED, Load::InFlight(READS)).await?;
    let watch = Stopwatch::start();
    let mut ear = Ear::open(gateway, &listener.token, Some(consumer)).await?;
    in_time(async {
        for _ in 0..MISSED {
            ear.hear().await?;
        }
        Ok(())
    })
    .await?;
    Ok(watch.nanos())
}

/// Answers per second.
pub(super) async fn reads(rest: &Rest, path: &str, count: usize) -> Result<f64, Failure> {
    let watch = Stopwatch::start();
    stream::iter(0..count)
        .map(|_| rest.get(path))
        .buffer_unordered(READS)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let count = count as f64;
    Ok(count / watch.elapsed().as_secs_f64())
}
