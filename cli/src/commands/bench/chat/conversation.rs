//! Two bots of one gateway, measured from POST to the other one's WebSocket.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{BYTES, Sample};
use crate::clock::Stopwatch;
use crate::exit::Failure;
use crate::rest::{Listener, Rest, text};

/// A speaker and a listener.
pub(super) struct Pair {
    speaker: Rest,
    listener: Listener,
    path: String,
}

impl Pair {
    /// Creates two bots and puts them into a group.
    pub(super) async fn meet(admin: &Rest) -> Result<Self, Failure> {
        let mut bots = Vec::new();
        for name in ["bench-speaker", "bench-listener"] {
            let bot = admin.post("/v1/bots", &json!({ "name": name })).await?;
            bots.push((admin.with_token(&text(&bot, "token")?), text(&bot, "identity")?));
        }
        let (speaker, listener) = (bots[0].0.clone(), bots[1].0.clone());
        let mut ear = listener.listen().await?;
        let group = json!({ "name": "bench", "members": [bots[1].1] });
        let group = text(&speaker.post("/v1/groups", &group).await?, "group_id")?;
        let invitation = ear.event("invitation.received").await?;
        let invitation = text(&invitation["data"], "invitation_id")?;
        listener.post(&format!("/v1/invitations/{invitation}/accept"), &json!({})).await?;
        Ok(Self { speaker, listener: ear, path: format!("/v1/groups/{group}/messages") })
    }

    /// One message after the other: nanoseconds from the POST to its event.
    pub(super) async fn latencies(&mut self, count: usize) -> Result<Sample, Failure> {
        let mut sample = Sample::default();
        let body = message(0);
        for _ in 0..count {
            let watch = Stopwatch::start();
            let heard = async {
                self.listener.event("message.received").await?;
                Ok(watch.nanos())
            };
            let (nanos, _) = tokio::try_join!(heard, self.speaker.post(&self.path, &body))?;
            sample.push(nanos);
        }
        Ok(sample)
    }

    /// Messages per second, from the first POST to the last event, and nanoseconds from each
    /// POST to its event.
    pub(super) async fn rate(
        &mut self,
        count: usize,
        in_flight: usize,
    ) -> Result<(f64, Sample), Failure> {
        let watch = Stopwatch::start();
        let starts: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
        let sends = stream::iter(0..count)
            .map(|n| {
                let (speaker, path, start) = (&self.speaker, &self.path, &starts[n]);
                async move {
                    let body = message(n);
                    start.store(watch.nanos(), Relaxed);
                    speaker.post(path, &body).await
                }
            })
            .buffer_unordered(in_flight)
            .try_for_each(|_| async { Ok(()) });
        let hears = async {
            let mut sample = Sample::default();
            for _ in 0..count {
                let event = self.listener.event("message.received").await?;
                let start = starts.get(number(&event)).ok_or_else(strange)?;
                sample.push(watch.nanos() - start.load(Relaxed));
            }
            Ok((watch.elapsed().as_secs_f64(), sample))
        };
        let ((), (seconds, sample)) = tokio::try_join!(sends, hears)?;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = count as f64;
        Ok((count / seconds, sample))
    }
}

/// A message of a kilobyte that begins with its number.
fn message(number: usize) -> Value {
    json!({ "type": "text", "content": { "body": format!("{number:0>BYTES$}") } })
}

fn number(event: &Value) -> usize {
    let body = event["data"]["content"]["body"].as_str();
    body.and_then(|body| body.parse().ok()).unwrap_or(usize::MAX)
}

fn strange() -> Failure {
    Failure::other("a message came that nobody has sent")
}
