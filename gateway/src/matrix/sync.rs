//! `GET /sync`: the event log, translated.
//!
//! It keeps no state: `since` is a place in the log, and every place that the log still has can be
//! asked for again. A client that stores its token before it has handled what came with it loses
//! nothing by asking with the former one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use quicproquo_client::{Cursor, GroupId, Invitation};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::content::OWN;
use super::filter::Filter;
use super::ids::{Caller, Ids, Place};
use super::state::{StateEvent, membership, of_group};
use super::translate::{Room, Translation, is_in};
use crate::auth::Scope;
use crate::events::Filter as Limits;
use crate::extract::Params;
use crate::metrics::{Door, ReaderCounts};
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// Events of the log that are looked at at once.
const PAGE: u32 = 100;
/// The longest wait, in milliseconds.
const MAX_WAIT_MS: u64 = 60_000;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SyncParams {
    since: Option<String>,
    timeout: Option<u64>,
    filter: Option<String>,
    full_state: Option<String>,
}

/// Answers what happened since a place in the log, waiting for it if there is nothing.
pub(super) async fn sync(
    caller: Caller,
    State(state): State<AppState>,
    Params(params): Params<SyncParams>,
) -> Result<Json<Value>, Problem> {
    caller.bot.need(Scope::MessagesRead)?;
    let filter = Filter::load(&state, &caller, params.filter.as_deref()).await?;
    let limits = Limits::parse(None, None, &caller.bot.grant)?;
    let counts = state.metrics.reader(Door::Matrix);
    let reader = Reader { caller: &caller, state: &state, filter, limits, counts };
    let full = params.full_state.as_deref() == Some("true");
    // Some clients say so before the first sync.
    match params.since.as_deref().filter(|since| !since.is_empty()) {
        None => reader.first().await,
        Some(since) => {
            let wait = Duration::from_millis(params.timeout.unwrap_or(0).min(MAX_WAIT_MS));
            reader.since(Place::parse(since)?, wait, full).await
        }
    }
    .map(Json)
}

struct Reader<'a> {
    caller: &'a Caller,
    state: &'a AppState,
    filter: Filter,
    limits: Limits,
    counts: ReaderCounts,
}

impl Reader<'_> {
    /// All rooms and invitations as they are, and nothing old: nobody answers it again.
    async fn first(&self) -> Result<Value, Problem> {
        let Caller { bot, ids } = self.caller;
        // Before the groups: what comes between is told twice rather than never.
        let tail = *bot.session.tail().borrow();
        let mut answer = Answer::default();
        self.whole(&mut answer, Place::at(tail), false).await?;
        for invitation in self.invitations().await? {
            answer.invite(ids, &invitation);
        }
        self.account_data(&mut answer).await?;
        Ok(answer.finish(Place { cursor: tail, first: true }))
    }

    async fn since(&self, place: Place, wait: Duration, full: bool) -> Result<Value, Problem> {
        let Caller { bot, ids } = self.caller;
        let mut answer = Answer::default();
        if full {
            self.whole(&mut answer, place, false).await?;
        }
        // Libraries drop what their first sync brings, and an invitation can still be answered.
        if place.first {
            for invitation in self.invitations().await? {
                answer.invite(ids, &invitation);
            }
        }
        let begun = Instant::now();
        let mut tail = bot.session.tail();
        let (mut position, mut waited) = (place.cursor, false);
        loop {
            let seen = *tail.borrow_and_update();
            let mut translation = Translation::new(ids, &bot.session);
            position = match self.page(&mut translation, position, waited).await {
                Ok(next) => next,
                Err(error) if error.kind() == Kind::CursorExpired => {
                    // The client has to look at everything anew; what is still kept follows.
                    let oldest = bot.session.oldest().await?;
                    self.whole(&mut answer, Place::at(oldest), true).await?;
                    return Ok(answer.finish(Place::at(oldest)));
                }
                Err(error) => return Err(error),
            };
            if translation.invited {
                for invitation in self.invitations().await? {
                    answer.invite(ids, &invitation);
                }
            }
            for (group, room) in std::mem::take(&mut translation.rooms) {
                answer.room(ids, &self.filter, &group, room, place);
            }
            if !answer.is_empty() {
                break;
            }
            if position < seen {
                continue;
            }
            tokio::select! {
                biased;
                () = bot.grant.ended() => return Err(Problem::new(Kind::TokenInvalid)),
                () = self.state.stopping.cancelled() => break,
                () = tokio::time::sleep_until(begun + wait) => break,
                grown = tail.changed() => grown.map_err(|_| Problem::new(Kind::BotStopped))?,
            }
            waited = true;
        }
        Ok(answer.finish(Place::at(position)))
    }

    /// Translates a page of the log; answers how far that came.
    async fn page(
        &self,
        translation: &mut Translation<'_>,
        position: Cursor,
        waited: bool,
    ) -> Result<Cursor, Problem> {
        let Caller { bot, ids } = self.caller;
        let page = bot.session.events(position, PAGE).await?;
        let mut done = position;
        for event in page.items {
            let cursor = event.cursor;
            let wanted = |group: &GroupId| self.filter.wants(ids, group);
            if self.limits.lets(&event) && event.group.as_ref().is_none_or(wanted) {
                // The rest comes with the next answer: nothing is left out.
                let full = translation.len(&event) >= self.filter.limit();
                if full || translation.ends_before(&event) {
                    return Ok(done);
                }
                if waited {
                    self.counts.delivered(event.occurred_at_ms);
                }
                translation.take(event).await?;
            }
            done = cursor;
        }
        Ok(page.next.max(position))
    }

    /// Every room that the bot is in, with its state.
    async fn whole(
        &self,
        answer: &mut Answer,
        before: Place,
        limited: bool,
    ) -> Result<(), Problem> {
        let Caller { bot, ids } = self.caller;
        for group in bot.session.groups().await? {
            let allowed = bot.grant.allows_group(&group.id) && self.filter.wants(ids, &group.id);
            if !allowed || !is_in(&group) {
                continue;
            }
            let group = ids.with_names(&bot.session, group).await?;
            let me = ids.me();
            let mut state = of_group(ids, &group, bot.record.created_at_ms);
            let own = state.iter().position(|event| event["state_key"] == me.as_str());
            let timeline = own.map(|own| state.remove(own)).into_iter().collect();
            let room = Room { state, timeline, new: true, ..Room::default() };
            answer.room(ids, &self.filter, &group.id, room, before);
            if limited {
                answer.join[&ids.room(&group.id)]["timeline"]["limited"] = true.into();
            }
        }
        Ok(())
    }

    /// Unanswered invitations that the token may see.
    async fn invitations(&self) -> Result<Vec<Invitation>, Problem> {
        let Caller { bot, ids } = self.caller;
        let mut invitations = bot.session.invitations().await?;
        invitations.retain(|invitation| {
            bot.grant.allows_group(&invitation.id) && self.filter.wants(ids, &invitation.id)
        });
        let mut named = Vec::with_capacity(invitations.len());
        for invitation in invitations {
            named.push(ids.with_inviter(&bot.session, invitation).await?);
        }
        Ok(named)
    }

    async fn account_data(&self, answer: &mut Answer) -> Result<(), Problem> {
        let entries = self.state.store.account_data(&self.caller.bot.record.bot_id).await?;
        let own = format!("{OWN}.");
        for (group, kind, content) in entries {
            let event = json!({ "type": kind, "content": content });
            if kind.starts_with(&own) {
                // The profile is kept there as well.
            } else if group.is_empty() {
                answer.account_data.push(event);
            } else if let Ok(group) = group.parse::<GroupId>()
                && let Some(room) = answer.join.get_mut(&self.caller.ids.room(&group))
                && let Some(events) = room["account_data"]["events"].as_array_mut()
            {
                events.push(event);
            }
        }
        Ok(())
    }
}

/// An answer in the making.
#[derive(Debug, Default)]
struct Answer {
    join: Map<String, Value>,
    invite: Map<String, Value>,
    leave: Map<String, Value>,
    account_data: Vec<Value>,
}

impl Answer {
    fn is_empty(&self) -> bool {
        self.join.is_empty() && self.invite.is_empty() && self.leave.is_empty()
    }

    fn room(&mut self, ids: &Ids, filter: &Filter, group: &GroupId, room: Room, before: Place) {
        let Room { mut state, mut timeline, typing, receipts, left, new } = room;
        state.retain(|event| filter.state(event));
        timeline.retain(|event| filter.timeline(event));
        let mut passing = Vec::new();
        if !typing.is_empty() {
            let writing: Vec<_> =
                typing.into_iter().filter_map(|(user, active)| active.then_some(user)).collect();
            passing.push(json!({ "type": "m.typing", "content": { "user_ids": writing } }));
        }
        if !receipts.is_empty() {
            let mut content = json!({});
            for (event, user, at_ms) in receipts {
                content[event]["m.read"][user] = json!({ "ts": at_ms });
            }
            passing.push(json!({ "type": "m.receipt", "content": content }));
        }
        passing.retain(|event| filter.ephemeral(event));
        if !left && !new && timeline.is_empty() && passing.is_empty() {
            return;
        }
        let before = Place::at(before.cursor).token();
        let timeline = json!({ "events": timeline, "limited": false, "prev_batch": before });
        let id = ids.room(group);
        if left {
            let room = json!({
                "state": { "events": state },
                "timeline": timeline,
                "account_data": { "events": [] },
            });
            self.join.remove(&id);
            self.invite.remove(&id);
            self.leave.insert(id, room);
            return;
        }
        if let Some(known) = self.join.get_mut(&id) {
            // All of its state is there already.
            known["timeline"] = timeline;
            known["ephemeral"]["events"] = passing.into();
            return;
        }
        let room = json!({
            "state": { "events": state },
            "timeline": timeline,
            "ephemeral": { "events": passing },
            "account_data": { "events": [] },
            "summary": {},
            "unread_notifications": { "highlight_count": 0, "notification_count": 0 },
        });
        self.join.insert(id, room);
    }

    fn invite(&mut self, ids: &Ids, invitation: &Invitation) {
        let me = ids.me();
        let by = ids.user(&invitation.inviter, invitation.inviter_name.as_deref());
        let room = ids.room(&invitation.id);
        let origin = invitation.received_at_ms.to_string();
        let event = |kind: &str, state_key: &str, content: Value| {
            let (sender, at_ms) = (by.clone(), invitation.received_at_ms);
            StateEvent { kind, state_key, sender, content, at_ms }.event(&room, &origin)
        };
        let mut events = vec![
            event("m.room.create", "", json!({ "creator": by, "room_version": "10" })),
            event("m.room.join_rules", "", json!({ "join_rule": "invite" })),
            event("m.room.member", &by, membership("join", &by)),
            event("m.room.member", &me, membership("invite", &me)),
        ];
        if !invitation.group_name.is_empty() {
            events.push(event("m.room.name", "", json!({ "name": invitation.group_name })));
        }
        self.invite.insert(room, json!({ "invite_state": { "events": events } }));
    }

    fn finish(self, next: Place) -> Value {
        json!({
            "next_batch": next.token(),
            "rooms": { "join": self.join, "invite": self.invite, "leave": self.leave, "knock": {} },
            "account_data": { "events": self.account_data },
            "presence": { "events": [] },
            "to_device": { "events": [] },
            "device_lists": { "changed": [], "left": [] },
            "device_one_time_keys_count": { "signed_curve25519": 50 },
            "device_unused_fallback_key_types": ["signed_curve25519"],
        })
    }
}
