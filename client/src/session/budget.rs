//! How much may be on its way to the node: in memory and in the database.

use super::actor::Actor;
use super::unit::Unit;
use crate::store::{OutboxRecord, Parcel};

/// Sends that one session keeps on their way.
const SENDS: usize = 10_000;
/// Their bytes, 128 MiB: contents that wait, and what is encrypted.
const BYTES: usize = if cfg!(test) { 512 * 1024 } else { 128 * 1024 * 1024 };
/// Bytes of what is encrypted and on its way, 32 MiB: an envelope for 1,000 members is 1.2 MB.
/// What is beyond waits unencrypted.
const ENCRYPTED: usize = if cfg!(test) { 64 * 1024 } else { 32 * 1024 * 1024 };
/// So many sends cannot be too many bytes, so nobody counts.
const FEW: usize = if cfg!(test) { 1 } else { 20 };

impl Parcel {
    /// Bytes of it.
    pub(super) fn size(&self) -> usize {
        let prefixes = self.recipients.iter().map(|(_, prefix)| 32 + prefix.len());
        self.body.len() + prefixes.sum::<usize>()
    }
}

impl OutboxRecord {
    fn bytes(&self) -> usize {
        self.parcel.as_ref().map_or(self.size as usize, Parcel::size)
    }
}

impl Actor {
    /// Whether no more sends are taken. The bytes are counted once in a unit; what it takes is
    /// added to them.
    pub(super) fn outbox_is_full(&self, unit: &mut Unit) -> bool {
        if self.outbox.len() <= FEW {
            return false;
        }
        let bytes = || self.outbox.values().map(|outgoing| outgoing.record.bytes()).sum();
        self.outbox.len() >= SENDS || *unit.outbox_bytes.get_or_insert_with(bytes) >= BYTES
    }

    /// Bytes that may be encrypted now.
    pub(super) fn encryption_room(&self) -> usize {
        if self.outbox.len() <= FEW {
            return ENCRYPTED;
        }
        let parcels = self.outbox.values().filter_map(|outgoing| outgoing.record.parcel.as_ref());
        ENCRYPTED.saturating_sub(parcels.map(Parcel::size).sum())
    }

    /// Groups in which messages wait for room go on when there is some.
    pub(super) fn wake_backlog(&mut self, unit: &mut Unit) {
        if !self.backlog.is_empty() && self.encryption_room() > 0 {
            unit.touched.append(&mut self.backlog);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Suite;
    use crate::error::SessionError;
    use crate::model::{DeliveryState, Options};
    use crate::session::tests::world::{World, bot, heard, meet, text};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_takes_so_many_bytes_and_arrives_in_order() {
        let mut world = World::new().await;
        let (first, second) = (world.client("a").await, world.client("b").await);
        let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
        let group = meet(Suite::Envelope, &alice, &[&bob]).await;
        world.stop().await;
        let body = |n: usize| format!("{n} {}", "x".repeat(8_000));
        let mut taken = 0;
        loop {
            match alice.send(group.clone(), text(&body(taken)), Options::default()).await {
                Ok(sent) => assert_eq!(sent.value.delivery, DeliveryState::Queued),
                Err(error) => break assert_eq!(error, SessionError::OutboxFull),
            }
            taken += 1;
        }
        assert!((50..BYTES / 8_000 + 2).contains(&taken), "{taken}");
        let rows = alice.store.outbox(alice.owner, &mut Vec::new()).await.unwrap();
        assert_eq!(rows.len(), taken);
        let encrypted: Vec<_> = rows.iter().filter_map(|(_, row)| row.parcel.as_ref()).collect();
        let bytes: usize = encrypted.iter().map(|parcel| parcel.size()).sum();
        assert!((ENCRYPTED..ENCRYPTED + 16_384).contains(&bytes), "{bytes}");

        // The same after another start.
        first.shutdown().await;
        let first = world.client("a").await;
        let alice = first.session(&alice.identity()).unwrap();
        let refused = alice.send(group.clone(), text(&body(0)), Options::default()).await;
        assert_eq!(refused.unwrap_err(), SessionError::OutboxFull);
        world.start().await;
        let wanted: Vec<String> = (0..taken).map(body).collect();
        assert!(heard(&bob, &body(taken - 1)).await == wanted, "all of it, in order");
        alice.send(group.clone(), text("there is room"), Options::default()).await.unwrap();
        heard(&bob, "there is room").await;
        first.shutdown().await;
        second.shutdown().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_for_a_commit_is_written_once() {
        let mut world = World::new().await;
        let (first, second) = (world.client("a").await, world.client("b").await);
        let (alice, bob) = (bot(&first, "alice").await, bot(&second, "bob").await);
        let group = meet(Suite::Native, &alice, &[&bob]).await;
        world.stop().await;
        alice.update_keys(group.clone(), Options::default()).await.unwrap();
        let mut written = Vec::new();
        for n in 100..140 {
            let before = first.usage().written_bytes;
            alice.send(group.clone(), text(&n.to_string()), Options::default()).await.unwrap();
            written.push(first.usage().written_bytes - before);
        }
        assert!(written[39] < written[1] + 32, "{written:?}");
        world.start().await;
        heard(&bob, "139").await;
        first.shutdown().await;
        second.shutdown().await;
    }
}
