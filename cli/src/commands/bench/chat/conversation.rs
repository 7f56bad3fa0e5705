//! Two bots of one gateway, measured from POST to the other one's WebSocket.

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
        let body = message();
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

    /// Messages per second, from the first POST to the last event.
    pub(super) async fn rate(&mut self, count: usize, in_flight: usize) -> Result<f64, Failure> {
        let body = message();
        let watch = Stopwatch::start();
        let sends = stream::iter(0..count)
            .map(|_| self.speaker.post(&self.path, &body))
            .buffer_unordered(in_flight)
            .try_for_each(|_| async { Ok(()) });
        let hears = async {
            for _ in 0..count {
                self.listener.event("message.received").await?;
            }
            Ok(watch.elapsed().as_secs_f64())
        };
        let ((), seconds) = tokio::try_join!(sends, hears)?;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = count as f64;
        Ok(count / seconds)
    }
}

fn message() -> Value {
    json!({ "type": "text", "content": { "body": "x".repeat(BYTES) } })
}
