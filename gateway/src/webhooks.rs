//! Webhooks by the Standard Webhooks specification: the gateway delivers events by itself.
//!
//! A webhook is a consumer of its bot's log under a name of its own, so order by group, attempts,
//! what is set aside and what survives a kill are those of all consumers.

mod deliver;
mod settings;
mod sign;
mod target;
mod worker;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::events::Filter;
use crate::problem::{Kind, Problem};
use crate::state::AppState;
use crate::store::{Record, WebhookRow};

pub(crate) use deliver::outcomes;
pub(crate) use settings::{Report, ReportState, Settings, WebhookState};
pub(crate) use sign::Keys;
pub use target::WebhookTargets;

use worker::Worker;

/// How many a bot may have.
const MOST: usize = 50;

/// All webhooks of all bots.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    all: Mutex<HashMap<String, Hook>>,
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Hook {
    row: WebhookRow,
    /// Ends its task.
    stop: CancellationToken,
}

/// The consumer that a webhook is; bots cannot give such a name.
pub(crate) fn consumer_name(webhook_id: &str) -> String {
    format!("webhook:{webhook_id}")
}

impl Webhooks {
    /// Puts all webhooks of the database to work.
    pub(crate) fn start_all(&self, state: &AppState, rows: Vec<WebhookRow>) {
        for row in rows {
            self.put(state, row);
        }
    }

    /// The webhooks of a bot, the oldest first.
    pub(crate) fn of_bot(&self, bot_id: &str) -> Vec<WebhookRow> {
        let all = self.lock();
        let own = all.values().filter(|hook| hook.row.bot_id == bot_id);
        let mut rows: Vec<_> = own.map(|hook| hook.row.clone()).collect();
        rows.sort_by(|a, b| {
            (a.created_at_ms, &a.webhook_id).cmp(&(b.created_at_ms, &b.webhook_id))
        });
        rows
    }

    /// A webhook of a bot.
    ///
    /// # Errors
    /// `WebhookNotFound`.
    pub(crate) fn find(&self, bot_id: &str, webhook_id: &str) -> Result<WebhookRow, Problem> {
        let all = self.lock();
        let hook = all.get(webhook_id).filter(|hook| hook.row.bot_id == bot_id);
        hook.map(|hook| hook.row.clone()).ok_or_else(|| Problem::new(Kind::WebhookNotFound))
    }

    /// Refuses when a bot has as many as it may.
    ///
    /// # Errors
    /// `RequestInvalid`.
    pub(crate) fn check_room(&self, bot_id: &str) -> Result<(), Problem> {
        if self.of_bot(bot_id).len() < MOST {
            return Ok(());
        }
        let detail = format!("a bot has at most {MOST} webhooks");
        Err(Problem::new(Kind::RequestInvalid).detail(detail))
    }

    /// One change at a time: to be held from the look at a webhook to its writing.
    pub(crate) async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Writes a webhook, new or changed, and puts it to work as it is now.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn save(
        &self,
        state: &AppState,
        row: WebhookRow,
        record: Option<&Record>,
    ) -> Result<(), Problem> {
        state.store.put_webhook(&row, record).await?;
        self.put(state, row);
        Ok(())
    }

    /// Deletes a webhook.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    pub(crate) async fn delete(&self, state: &AppState, row: &WebhookRow) -> Result<(), Problem> {
        state.store.delete_webhook(&row.webhook_id).await?;
        if let Some(hook) = self.lock().remove(&row.webhook_id) {
            hook.stop.cancel();
        }
        match state.consumers.delete(&row.bot_id, &consumer_name(&row.webhook_id)).await {
            Err(problem) if problem.kind() != Kind::ConsumerNotFound => Err(problem),
            _ => Ok(()),
        }
    }

    /// Stops the webhooks of a bot that is deleted.
    pub(crate) fn forget_bot(&self, bot_id: &str) {
        self.lock().retain(|_, hook| {
            let stays = hook.row.bot_id != bot_id;
            if !stays {
                hook.stop.cancel();
            }
            stays
        });
    }

    /// Disables a webhook whose target wants nothing more. Its events wait in the log.
    async fn disable(&self, state: &AppState, webhook_id: &str, reason: &str) {
        let change = |settings: &mut Settings| {
            settings.state = WebhookState::Disabled;
            settings.reason = Some(reason.to_owned());
        };
        self.note(state, webhook_id, change).await;
    }

    /// Tells the owner of a webhook that goes on that it has lost something.
    async fn note_loss(&self, state: &AppState, webhook_id: &str, reason: &str) {
        let change = |settings: &mut Settings| settings.reason = Some(reason.to_owned());
        self.note(state, webhook_id, change).await;
    }

    /// Keeps what the gateway itself has changed.
    async fn note(&self, state: &AppState, webhook_id: &str, change: impl FnOnce(&mut Settings)) {
        let _changing = self.changing().await;
        let row = {
            let mut all = self.lock();
            let Some(hook) = all.get_mut(webhook_id) else { return };
            change(&mut hook.row.settings);
            hook.row.clone()
        };
        if let Err(error) = state.store.put_webhook(&row, None).await {
            tracing::error!(%error, "cannot write how a webhook goes on");
        }
    }

    fn put(&self, state: &AppState, row: WebhookRow) {
        let stop = CancellationToken::new();
        let hook = Hook { row: row.clone(), stop: stop.clone() };
        if let Some(former) = self.lock().insert(row.webhook_id.clone(), hook) {
            former.stop.cancel();
        }
        if row.settings.state == WebhookState::Disabled {
            return;
        }
        let bot = state.bots.find(&row.bot_id);
        let session = bot.and_then(|bot| state.client.session(&bot.identity));
        let settings = &row.settings;
        let filter = Filter::trusted(settings.types.as_deref(), settings.groups.as_deref());
        let (Some(session), Ok(filter)) = (session, filter) else { return };
        if let Some(worker) = Worker::new(state.clone(), session, row, stop) {
            state.tasks.spawn(worker.run(filter));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hook>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
