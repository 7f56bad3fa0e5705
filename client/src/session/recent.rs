//! The newest events of a log in memory, for those who read along.
//!
//! What one reader after the other would read from the database, each of its events once for each
//! of them, is here once. Nothing hangs on it: whoever does not find what follows its cursor here
//! reads the database. Only committed events are here, and only while somebody reads them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::{Cursor, Event, EventData, SharedEvent, SharedPage, TYPING_LIVES_MS};

/// Events that are kept: what one unit of work may bring.
const EVENTS: usize = 256;
/// Bytes of their content, about.
const BYTES: usize = 512 * 1024;
/// Events that nobody has asked for, after which nothing is kept any more.
const UNREAD: usize = 1024;

/// An event, with about how many bytes its content has.
pub(super) type Told = (Event, usize);

/// The end of one identity's log.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// All events between here and `tail` are in `events`; none: nothing is kept.
    from: Option<u64>,
    tail: u64,
    events: VecDeque<(SharedEvent, usize)>,
    bytes: usize,
    unread: usize,
}

impl Kept {
    fn begin(&mut self, from: u64) {
        self.events.clear();
        self.bytes = 0;
        self.from = Some(from);
        self.unread = 0;
    }

    fn stop(&mut self) {
        self.events = VecDeque::new();
        self.bytes = 0;
        self.from = None;
    }
}

impl Recent {
    /// Whether somebody wants what happens.
    pub(super) fn wanted(&self) -> bool {
        self.lock().from.is_some()
    }

    /// The log has grown to `tail` by `events`; none: they were not collected. What is kept is not
    /// true any more when `rewritten`.
    pub(super) fn grow(&self, events: Option<Vec<Told>>, tail: u64, rewritten: bool) {
        let mut kept = self.lock();
        kept.tail = tail;
        if kept.from.is_none() {
            return;
        }
        let (Some(events), false) = (events, rewritten) else {
            return kept.begin(tail);
        };
        kept.unread += events.len();
        if kept.unread > UNREAD {
            return kept.stop();
        }
        kept.bytes += events.iter().map(|(_, size)| size).sum::<usize>();
        kept.events.extend(events.into_iter().map(|(event, size)| (SharedEvent::new(event), size)));
        while (kept.events.len() > EVENTS || kept.bytes > BYTES)
            && let Some((oldest, size)) = kept.events.pop_front()
        {
            kept.bytes -= size;
            kept.from = Some(oldest.event().cursor.0);
        }
    }

    /// The log was read again and ends here.
    pub(super) fn reset(&self, tail: u64) {
        *self.lock() = Kept { tail, ..Kept::default() };
    }

    /// What follows a cursor, at most `limit` events. `None`: the database has to be read; from
    /// now on what happens is kept.
    pub(super) fn page(&self, after: Cursor, limit: u32, now_ms: u64) -> Option<SharedPage> {
        let mut kept = self.lock();
        kept.unread = 0;
        let Some(from) = kept.from else {
            let tail = kept.tail;
            kept.begin(tail);
            return None;
        };
        if after.0 < from || after.0 > kept.tail {
            return None;
        }
        let limit = limit.clamp(1, 1000) as usize;
        let new = kept.events.partition_point(|(shared, _)| shared.event().cursor <= after);
        let oldest = now_ms.saturating_sub(TYPING_LIVES_MS);
        let lives = |shared: &&SharedEvent| {
            let Event { occurred_at_ms, data, .. } = shared.event();
            *occurred_at_ms >= oldest || !matches!(data, EventData::MemberTyping { .. })
        };
        let new = kept.events.range(new..).map(|(shared, _)| shared);
        let items = new.filter(lives).take(limit).cloned();
        let items: Vec<SharedEvent> = items.collect();
        let full = items.len() == limit;
        let next =
            items.last().filter(|_| full).map_or(Cursor(kept.tail), |last| last.event().cursor);
        Some(SharedPage { items, next })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventPage;
    use crate::model::{Outgoing, TrustState};
    use crate::session::Session;
    use crate::session::tests::world::{World, bot, heard, meet, patient, text, until};
    use crate::{GroupId, RelatesTo, Suite};

    fn events(seqs: impl IntoIterator<Item = u64>) -> Vec<Told> {
        let event = |seq| {
            let data = EventData::GapDetected { lost: 1 };
            (Event { cursor: Cursor(seq), occurred_at_ms: 0, group: None, data }, 1)
        };
        seqs.into_iter().map(event).collect()
    }

    fn read(recent: &Recent, after: u64, limit: u32) -> Option<(Vec<u64>, u64)> {
        let page = recent.page(Cursor(after), limit, 0)?;
        Some((page.items.iter().map(|shared| shared.event().cursor.0).collect(), page.next.0))
    }

    #[test]
    fn who_has_asked_once_gets_what_follows() {
        let recent = Recent::default();
        recent.reset(10);
        assert!(!recent.wanted());
        recent.grow(Some(events([11])), 11, false);
        assert_eq!(read(&recent, 10, 9), None, "nobody had asked when it happened");
        assert!(recent.wanted());
        assert_eq!(read(&recent, 10, 9), None, "it is in the database");
        assert_eq!(read(&recent, 11, 9), Some((vec![], 11)));
        // Position 13 carries no event.
        recent.grow(Some(events([12, 14])), 15, false);
        assert_eq!(read(&recent, 11, 9), Some((vec![12, 14], 15)));
        assert_eq!(read(&recent, 11, 1), Some((vec![12], 12)));
        assert_eq!(read(&recent, 12, 1), Some((vec![14], 14)));
        assert_eq!(read(&recent, 14, 1), Some((vec![], 15)));
        assert_eq!(read(&recent, 10, 9), None);
        assert_eq!(read(&recent, 16, 9), None, "beyond the tail");
    }

    #[test]
    fn what_was_not_collected_or_is_not_true_any_more_is_read_from_the_database() {
        let recent = Recent::default();
        recent.page(Cursor(0), 1, 0);
        recent.grow(Some(events([1])), 1, false);
        recent.grow(None, 2, false);
        assert_eq!(read(&recent, 0, 9), None);
        assert_eq!(read(&recent, 1, 9), None);
        recent.grow(Some(events([3])), 3, false);
        assert_eq!(read(&recent, 2, 9), Some((vec![3], 3)));
        recent.grow(Some(events([4])), 4, true);
        assert_eq!(read(&recent, 2, 9), None);
        assert_eq!(read(&recent, 4, 9), Some((vec![], 4)));
        recent.reset(4);
        assert!(!recent.wanted());
    }

    #[test]
    fn the_oldest_leave_and_nothing_is_kept_for_nobody() {
        let recent = Recent::default();
        recent.page(Cursor(0), 1, 0);
        let (kept, unread) = (EVENTS as u64, UNREAD as u64);
        recent.grow(Some(events(1..=kept + 1)), kept + 1, false);
        assert_eq!(read(&recent, 0, 9), None);
        assert_eq!(read(&recent, 1, 1000), Some(((2..=kept + 1).collect(), kept + 1)));
        for seq in kept + 2..=kept + 1 + unread {
            recent.grow(Some(events([seq])), seq, false);
        }
        assert!(recent.wanted());
        recent.grow(Some(events([9_999])), 9_999, false);
        assert!(!recent.wanted());
    }

    #[test]
    fn large_ones_push_others_out() {
        let recent = Recent::default();
        recent.page(Cursor(0), 1, 0);
        let large = |seq| events([seq]).into_iter().map(|(event, _)| (event, BYTES / 2)).collect();
        for seq in 1..=3 {
            recent.grow(Some(large(seq)), seq, false);
        }
        assert_eq!(read(&recent, 0, 9), None);
        assert_eq!(read(&recent, 1, 9), Some((vec![2, 3], 3)));
        recent.reset(3);
        recent.page(Cursor(3), 1, 0);
        recent.grow(Some(events([4])), 4, false);
        assert_eq!(read(&recent, 3, 9), Some((vec![4], 4)));
    }

    #[test]
    fn all_who_read_along_share_what_the_first_has_encoded() {
        let recent = Recent::default();
        recent.page(Cursor(0), 1, 0);
        recent.grow(Some(events([1])), 1, false);
        let encoded = |text: &'static str| {
            let page = recent.page(Cursor(0), 9, 0).unwrap();
            page.items[0].encoded(|_| text.into())
        };
        assert_eq!(encoded("first"), encoded("second"));
    }

    #[test]
    fn who_was_writing_is_forgotten_in_time() {
        let recent = Recent::default();
        recent.page(Cursor(0), 1, 0);
        let by = crate::IdentityKey::from_slice(&[7; 32]).unwrap();
        let data = EventData::MemberTyping { by, name: None, active: true, until_ms: 0 };
        let (cursor, group) = (Cursor(1), None);
        let event = Event { cursor, occurred_at_ms: 5, group, data };
        recent.grow(Some(vec![(event, 1)]), 1, false);
        let page = |now_ms| EventPage::from(recent.page(Cursor(0), 9, now_ms).unwrap());
        assert_eq!(page(5 + TYPING_LIVES_MS).items.len(), 1);
        assert_eq!(page(6 + TYPING_LIVES_MS), EventPage { items: Vec::new(), next: Cursor(1) });
    }

    /// What is in memory, with what the database has in its place.
    async fn compared(session: &Session) -> usize {
        let tail = *session.tail().borrow();
        let mut compared = 0;
        for after in 0..=tail.0 {
            for limit in [1, 3, 100] {
                let Some(page) = session.recent.page(Cursor(after), limit, 0) else { continue };
                let (owner, own) = (session.owner, &session.identity);
                let stored = session.store.events(owner, own, Cursor(after), tail, limit, 0).await;
                let page = EventPage::from(page);
                assert_eq!(page, stored.unwrap(), "after {after}");
                compared += page.items.len();
            }
        }
        compared
    }

    async fn say(session: &Session, group: &GroupId, body: &str) {
        session.send(group.clone(), text(body), patient()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_reads_along_sees_what_is_in_the_database() {
        let world = World::new().await;
        let client = world.client("a").await;
        let (alice, bob) = (bot(&client, "alice").await, bot(&client, "bob").await);
        let group = meet(Suite::Native, &alice, &[&bob]).await;
        say(&alice, &group, "names are known").await;
        heard(&bob, "names are known").await;
        say(&bob, &group, "here too").await;
        heard(&alice, "here too").await;
        for n in 0..3 {
            say(&alice, &group, &format!("{n} to bob")).await;
            say(&bob, &group, &format!("{n} to alice")).await;
        }
        heard(&bob, "2 to bob").await;
        heard(&alice, "2 to alice").await;
        for session in [&alice, &bob] {
            assert!(compared(session).await > 6, "messages sent and received");
        }

        // Trust travels with what was read before.
        alice.verify(bob.identity(), None).await.unwrap();
        let page = alice.events(Cursor(0), 1000).await.unwrap();
        let received = page.items.iter().filter_map(|event| match &event.data {
            EventData::MessageReceived(message) => Some(message.trust),
            _ => None,
        });
        assert!(received.eq([TrustState::Verified; 4]));
        compared(&alice).await;

        // So does a deletion: who reads from an old cursor no longer sees the content.
        let sent = alice.send(group.clone(), text("a slip"), patient()).await.unwrap().value;
        heard(&bob, "a slip").await;
        compared(&bob).await;
        let (kind, rel) = ("delete".to_owned(), "delete".to_owned());
        let relates_to = Some(RelatesTo { rel, id: sent.id });
        let deletion = Outgoing { kind, body: serde_json::json!({}), relates_to };
        alice.send(group.clone(), deletion, patient()).await.unwrap();
        until(&bob, |event| matches!(event, EventData::MessageReceived(message) if message.kind == "delete")).await;
        for session in [&alice, &bob] {
            compared(session).await;
            let events = session.events(Cursor(0), 1000).await.unwrap().items;
            let text = format!("{events:?}");
            assert!(!text.contains("a slip"), "{text}");
        }
        client.shutdown().await;
    }
}
