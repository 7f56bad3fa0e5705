//! Tickets: for browsers, which cannot send a header with a WebSocket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quicproquo_client::clock::now_ms;

use crate::auth::Bot;
use crate::model::{TicketDto, rfc3339};
use crate::problem::{Kind, Problem};
use crate::random;

/// How long a ticket is good.
const LIFE: Duration = Duration::from_secs(30);
const LENGTH: usize = 43;
/// Tickets at once; each is gone after 30 s.
const MOST: usize = 10_000;

/// Tickets that were issued and not used. A restart forgets them.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, Held>>);

#[derive(Debug)]
struct Held {
    bot: Arc<Bot>,
    expires_at_ms: u64,
}

impl Tickets {
    /// A ticket for what the caller's token permits.
    ///
    /// # Errors
    /// `NotReady` when there are too many.
    pub(crate) fn issue(&self, bot: Bot) -> Result<TicketDto, Problem> {
        let now = now_ms();
        let life = u64::try_from(LIFE.as_millis()).unwrap_or_default();
        let expires_at_ms = now.saturating_add(life);
        let ticket = random::base62(LENGTH);
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MOST {
            tickets.retain(|_, held| held.expires_at_ms > now);
        }
        if tickets.len() >= MOST {
            return Err(Problem::new(Kind::NotReady).detail("too many tickets are not used yet"));
        }
        tickets.insert(ticket.clone(), Held { bot: Arc::new(bot), expires_at_ms });
        Ok(TicketDto { ticket, expires_at: rfc3339(expires_at_ms) })
    }

    /// Uses a ticket up; whose it was, if it is good.
    pub(crate) fn redeem(&self, ticket: &str) -> Option<Bot> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { bot, expires_at_ms } = tickets.remove(ticket)?;
        let now = now_ms();
        let good =
            expires_at_ms > now && !bot.grant.revoked.is_cancelled() && !bot.grant.is_expired(now);
        good.then(|| Arc::unwrap_or_clone(bot))
    }
}
