//! What comes from the session: events of its log, and how its link does.

use std::time::Duration;

use quicproquo_client::{Event as LoggedEvent, EventData, LinkState, Session, TYPING_LIVES_MS};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::backend::{Backend, said};
use super::model::{Event, short};
use super::presence::Writers;

/// How often the link is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long somebody is writing who does not say it again.
const LIVES: Duration = Duration::from_millis(TYPING_LIVES_MS);
/// Events that are read at once.
const EVENTS: u32 = 500;

impl Backend {
    /// Follows the session from now on.
    pub(super) fn follow(&self) {
        let backend = self.clone();
        self.tasks.spawn(async move {
            if let Ok(session) = backend.session()
                && let Err(reason) = backend.feed(&session).await
            {
                backend.tell(Event::Failed(reason)).await;
            }
        });
    }

    async fn feed(&self, session: &Session) -> Result<(), String> {
        let mut tail = session.tail();
        let mut after = *tail.borrow_and_update();
        let mut link = LinkState::Connecting;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.rooms(session).await?;
        let mut writers = Writers::default();
        while !self.events.is_closed() {
            tokio::select! {
                _ = look.tick() => {
                    let now = session.health().link;
                    if now != link {
                        link = now.clone();
                        self.tell(Event::Link(now)).await;
                    }
                    for group in writers.expire(Instant::now()) {
                        self.tell(Event::Writers(group.clone(), writers.names(&group))).await;
                    }
                }
                changed = tail.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    tail.borrow_and_update();
                    loop {
                        let page = session.events(after, EVENTS).await.map_err(said)?;
                        after = page.next;
                        if page.items.is_empty() {
                            break;
                        }
                        for event in &page.items {
                            let told = [writers_of(&mut writers, event), notice(&event.data)];
                            for told in told.into_iter().flatten() {
                                self.tell(told).await;
                            }
                        }
                    }
                    self.rooms(session).await?;
                }
            }
        }
        Ok(())
    }
}

/// Who is writing now, when the event changes that.
fn writers_of(writers: &mut Writers, event: &LoggedEvent) -> Option<Event> {
    let group = event.group.as_ref()?;
    let changed = match &event.data {
        EventData::MemberTyping { by, name, active: true, .. } => {
            let name = name.clone().unwrap_or_else(|| short(by));
            writers.begins(group, *by, name, Instant::now() + LIVES);
            true
        }
        EventData::MemberTyping { by, .. } => writers.ends(group, by),
        EventData::MessageReceived(message) => writers.ends(group, &message.sender),
        _ => false,
    };
    changed.then(|| Event::Writers(group.clone(), writers.names(group)))
}

/// What is told besides what the list and the conversation show.
fn notice(event: &EventData) -> Option<Event> {
    let text = match event {
        EventData::IdentityChanged { name, from, to } => format!(
            "{name} has another key than before ({}, not {}): ask them by another way",
            short(to),
            short(from)
        ),
        EventData::MessageUndecryptable { reason, .. } => {
            format!("a message cannot be read: {reason}")
        }
        EventData::GroupChangeFailed { reason } => format!("a change was not taken: {reason}"),
        EventData::GapDetected { lost } => format!("{lost} messages were lost at the node"),
        EventData::ClockOff { ahead_secs } => {
            format!("this clock and the node's differ by {} s", ahead_secs.abs())
        }
        EventData::InvitationReceived(invitation) => {
            return Some(Event::Done(format!("an invitation into {}", invitation.group_name)));
        }
        _ => return None,
    };
    Some(Event::Failed(text))
}
