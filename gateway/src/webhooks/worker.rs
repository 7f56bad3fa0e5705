//! The task of one webhook: a consumer of the log that delivers by itself.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use quicproquo_client::clock::now_ms;
use quicproquo_client::{Cursor, GroupId, Idempotency, Options, Session, SessionError};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deliver::{Attempt, DELIVERED, Failure, Sender};
use super::sign::Keys;
use super::{Report, ReportState, consumer_name};
use crate::events::{Connection, Delivery, Filter, Terms};
use crate::idempotency::fingerprint;
use crate::model::{EventDto, NewMessage, WebhookPayload};
use crate::problem::Problem;
use crate::state::AppState;
use crate::store::WebhookRow;
use crate::{extract, occasion, random};

/// Deliveries at once, each of another group.
const AT_ONCE: usize = 8;
const TERMS: Terms = Terms { limit: AT_ONCE, lane_limit: 1, lease: None, streams: true };
/// Pause after the log or the database failed.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a message in an answer may take to be at the node, beyond which it is queued.
const REPLY_WAIT: Duration = Duration::ZERO;

/// One webhook at work.
pub(super) struct Worker {
    state: AppState,
    session: Session,
    row: WebhookRow,
    keys: Keys,
    sender: Sender,
    stop: CancellationToken,
}

/// A delivery that has come to an end, for now.
struct Done {
    cursor: Cursor,
    attempt: u32,
    report: Report,
    outcome: Result<(), Failure>,
}

impl Worker {
    /// A worker, unless its keys or its HTTP client are not to be had.
    pub(super) fn new(
        state: AppState,
        session: Session,
        row: WebhookRow,
        stop: CancellationToken,
    ) -> Option<Arc<Self>> {
        let opened = state.client.open_sealed("webhooks", row.webhook_id.as_bytes(), &row.secrets);
        let Some(keys) = opened.and_then(|bytes| Keys::from_bytes(&bytes)) else {
            tracing::error!(webhook = %row.webhook_id, "the keys of a webhook do not open");
            return None;
        };
        match Sender::new(&row.settings.url, &state.targets) {
            Ok(sender) => Some(Arc::new(Self { state, session, row, keys, sender, stop })),
            Err(error) => {
                tracing::error!(%error, webhook = %row.webhook_id, "no HTTP client");
                None
            }
        }
    }

    /// Delivers until it is told to stop.
    pub(super) async fn run(self: Arc<Self>, filter: Filter) {
        let (stop, stopping) = (self.stop.clone(), self.state.stopping.clone());
        loop {
            let work = self.work(&filter);
            tokio::select! {
                () = stop.cancelled() => return,
                () = stopping.cancelled() => return,
                again = work => if !again { return },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// Answers whether to begin again after a pause.
    async fn work(self: &Arc<Self>, filter: &Filter) -> bool {
        let mut tail = self.session.tail();
        let begin = *tail.borrow();
        let name = consumer_name(&self.row.webhook_id);
        let consumers = &self.state.consumers;
        let opened = consumers.open_any(&self.row.bot_id, &name, begin, filter, TERMS).await;
        let Ok(mut connection) = opened else { return true };
        // Whatever ends this says nothing about the events.
        connection.ends_by_us();
        let displaced = connection.displaced.clone();
        let mut running: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
        loop {
            tail.borrow_and_update();
            match connection.take(&self.session, AT_ONCE).await {
                Ok(deliveries) => running.extend(deliveries.into_iter().map(|delivery| {
                    let worker = Arc::clone(self);
                    Box::pin(async move { worker.deliver(delivery).await }) as BoxFuture<'_, _>
                })),
                Err(SessionError::CursorExpired) => {
                    if !self.skip_lost(&name).await {
                        return true;
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, webhook = %self.row.webhook_id, "cannot read the log");
                    return true;
                }
            }
            tokio::select! {
                Some(done) = running.next(), if !running.is_empty() => {
                    if !self.conclude(&connection, done).await {
                        return false;
                    }
                }
                grown = tail.changed() => if grown.is_err() { return false },
                () = connection.wait() => {}
                () = displaced.cancelled() => return false,
            }
        }
    }

    /// Events older than what is kept are lost to this webhook: it goes on with the oldest.
    async fn skip_lost(&self, name: &str) -> bool {
        let (oldest, tail) = (self.session.oldest().await, *self.session.tail().borrow());
        let (Ok(oldest), Ok(consumer)) =
            (oldest, self.state.consumers.find_any(&self.row.bot_id, name))
        else {
            return false;
        };
        tracing::warn!(webhook = %self.row.webhook_id, "events are too old to be delivered");
        let skipped = consumer.acknowledge(Some(&oldest.to_string()), &[], tail).is_ok();
        if skipped {
            let webhooks = &self.state.webhooks;
            webhooks.note_loss(&self.state, &self.row.webhook_id, "events_expired").await;
        }
        skipped
    }

    async fn deliver(&self, delivery: Delivery) -> Done {
        let Delivery { id, attempt, replayed, event } = delivery;
        let (cursor, group, occurred) = (event.cursor, event.group.clone(), event.occurred_at_ms);
        let delivery_id = delivery_id(&self.row.webhook_id, cursor);
        let mut report = Report {
            delivery_id: delivery_id.clone(),
            event_type: event.data.kind().to_owned(),
            group_id: group.as_ref().map(ToString::to_string),
            state: ReportState::Pending,
            attempts: attempt,
            attempted_at_ms: now_ms(),
            next_at_ms: None,
            status: None,
            error: None,
            reply_id: None,
            reply_error: None,
        };
        let event = EventDto::new(event, attempt).delivered(id.to_string(), replayed);
        let payload = WebhookPayload::new(event, &self.row);
        let body = serde_json::to_vec(&payload).unwrap_or_default();
        let (begun, metrics) = (Instant::now(), &self.state.metrics);
        let Attempt { status, result } = self.sender.attempt(&self.keys, &delivery_id, body).await;
        let word = result.as_ref().map_or_else(|failure| failure.as_str(), |_| DELIVERED);
        metrics.attempted(word, begun.elapsed());
        report.status = status;
        let outcome = match result {
            Ok(message) => {
                metrics.webhook_delivered(occurred);
                if let Some(message) = message {
                    match self.reply(group, &delivery_id, &message).await {
                        Ok(id) => report.reply_id = Some(id),
                        Err(problem) => report.reply_error = Some(problem.kind().slug().to_owned()),
                    }
                }
                report.state = ReportState::Delivered;
                Ok(())
            }
            Err(failure) => {
                report.error = Some(failure.as_str().to_owned());
                Err(failure)
            }
        };
        Done { cursor, attempt, report, outcome }
    }

    /// Sends the message of an answer. It is traced like a request, named by the delivery's id.
    async fn reply(
        &self,
        group: Option<GroupId>,
        delivery_id: &str,
        message: &Value,
    ) -> Result<String, Problem> {
        let sending = self.try_reply(group, delivery_id, message);
        occasion::traced("webhook reply", delivery_id, None, sending).await
    }

    /// The same; the delivery's id makes it once.
    async fn try_reply(
        &self,
        group: Option<GroupId>,
        key: &str,
        message: &Value,
    ) -> Result<String, Problem> {
        use crate::problem::Kind;
        if !self.row.settings.replies {
            return Err(Problem::new(Kind::ScopeMissing));
        }
        let group = group.ok_or_else(|| Problem::new(Kind::GroupNotFound))?;
        let body = message.to_string();
        let message = extract::parse_json::<NewMessage>(body.as_bytes())?;
        let verified_only = message.verified_only();
        let path = format!("/v1/groups/{group}/messages");
        let idempotency = Some(Idempotency {
            key: key.to_owned(),
            fingerprint: fingerprint("POST", &path, body.as_bytes()),
        });
        let options = Options { idempotency, wait: REPLY_WAIT, if_epoch: None, verified_only };
        let sent = self.session.send(group, message.parse()?, options).await?;
        Ok(sent.value.id.to_string())
    }

    /// Writes what became of a delivery and moves on; answers whether the webhook goes on.
    async fn conclude(&self, connection: &Connection, done: Done) -> bool {
        let Done { cursor, attempt, mut report, outcome } = done;
        let pause = match outcome {
            Ok(()) | Err(Failure::Gone) => None,
            Err(_) => pause(&self.state.retries, attempt, random::bytes::<1>()[0]),
        };
        if let (Err(failure), None) = (outcome, pause)
            && failure != Failure::Gone
        {
            report.state = ReportState::Failed;
            self.state.metrics.webhook_failed();
        }
        let ms = |pause: Duration| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        report.next_at_ms = pause.map(|pause| now_ms().saturating_add(ms(pause)));
        let prune = random::bytes::<1>()[0] < 8;
        let written =
            self.state.store.put_report(&self.row.webhook_id, cursor, &report, prune).await;
        if let Err(error) = written {
            tracing::error!(%error, "cannot write what became of a webhook's delivery");
        }
        match outcome {
            Ok(()) => connection.settle(cursor),
            Err(Failure::Gone) => {
                self.state.webhooks.disable(&self.state, &self.row.webhook_id, "gone").await;
                return false;
            }
            Err(_) => connection.fail(cursor, pause),
        }
        true
    }
}

/// The pause after an attempt, up to a tenth longer by `part`, so that targets are not met by all
/// at once when they come back; none after the last.
fn pause(retries: &[Duration], attempt: u32, part: u8) -> Option<Duration> {
    let nth = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
    let pause = *retries.get(nth)?;
    Some(pause + pause.mul_f64(f64::from(part) / 2560.0))
}

/// What an event is called at a target: the same at each attempt.
pub(super) fn delivery_id(webhook_id: &str, cursor: Cursor) -> String {
    let hash = Sha256::digest(format!("{webhook_id} {cursor}"));
    format!("msg_{}", hex::encode(&hash[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_up_to_a_tenth_longer_and_end_with_the_last() {
        let retries = [Duration::from_secs(5), Duration::from_mins(5), Duration::from_hours(24)];
        for (attempt, exact) in (1..).zip(retries) {
            let pauses = (0..=u8::MAX).map(|part| pause(&retries, attempt, part).unwrap());
            let pauses: Vec<_> = pauses.collect();
            assert_eq!(pauses[0], exact, "never shorter");
            assert!(pauses.is_sorted_by(|a, b| a < b), "each part has its own");
            let longest = pauses[255];
            assert!(longest < exact + exact / 10 && longest > exact + exact / 11, "{longest:?}");
        }
        // The first attempt and three more: then the event is set aside.
        for attempt in [4, 5, u32::MAX] {
            assert_eq!(pause(&retries, attempt, 0), None, "{attempt}");
        }
        assert_eq!(pause(&[], 1, 0), None, "one attempt and no more");
    }
}
