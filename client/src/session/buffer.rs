//! Payloads that must wait: for their group, its next epoch, a free place, or its repair.

use quicproquo_core::id::GroupId;
use zeroize::Zeroizing;

use super::actor::Actor;
use super::unit::{Opened, Unit};
use super::welcome::NO_PLACE;
use crate::model::GroupState;

/// Payloads that wait for one group.
const BUFFER_PER_GROUP: usize = 256;
/// Payloads that wait for an isolated group.
const BUFFER_ISOLATED: usize = 4096;
/// Unknown groups that payloads wait for.
const BUFFER_GROUPS: usize = 64;
/// Bytes that wait for unknown groups, all together: anybody can make them wait. 16 MiB.
const BUFFER_STRANGE_BYTES: usize = if cfg!(test) { 64 * 1024 } else { 16 * 1024 * 1024 };
/// Bytes that wait for one group that we are in, or are Welcomes without a place. 32 MiB.
const BUFFER_GROUP_BYTES: usize = if cfg!(test) { 96 * 1024 } else { 32 * 1024 * 1024 };

impl Actor {
    /// Keeps a payload whose group or epoch is not there yet.
    pub(super) fn buffer(&mut self, group: &[u8], opened: &Opened, unit: &mut Unit) {
        let kept = opened.to_kept();
        if !self.has_room(group, kept.len()) {
            self.set_aside(opened.hash, &opened.mls, "buffer_full", unit);
            return;
        }
        self.last_buffered += 1;
        let n = self.last_buffered;
        unit.batch.buffer(self.owner, group, n, unit.now_ms, &kept);
        self.buffered.entry(group.to_vec()).or_default().push((unit.now_ms, kept));
    }

    /// A group that we are not in; Welcomes without a place are not such.
    fn is_strange(&self, group: &[u8]) -> bool {
        let slot = GroupId::from_slice(group).ok().and_then(|group| self.groups.get(&group));
        group != NO_PLACE && slot.is_none_or(|slot| slot.record.is_over())
    }

    /// Whether so many bytes more may wait for a group.
    fn has_room(&self, group: &[u8], size: usize) -> bool {
        let kept = self.buffered.get(group).map_or(&[][..], Vec::as_slice);
        let most = if self.is_isolated(group) { BUFFER_ISOLATED } else { BUFFER_PER_GROUP };
        if kept.len() >= most {
            return false;
        }
        if !self.is_strange(group) {
            return bytes(kept) + size <= BUFFER_GROUP_BYTES;
        }
        let strange = self.buffered.iter().filter(|(group, _)| self.is_strange(group));
        let waiting: usize = strange.clone().map(|(_, kept)| bytes(kept)).sum();
        let one_more = !kept.is_empty() || strange.count() < BUFFER_GROUPS;
        one_more && waiting + size <= BUFFER_STRANGE_BYTES
    }

    fn is_isolated(&self, group: &[u8]) -> bool {
        let slot = GroupId::from_slice(group).ok().and_then(|group| self.groups.get(&group));
        slot.is_some_and(|slot| slot.record.state == GroupState::Isolated)
    }

    /// Gives up on payloads whose group or epoch did not come, and says so. Welcomes that wait
    /// for a place and payloads of isolated groups are kept.
    pub(super) fn expire_buffered(&mut self, before: u64, unit: &mut Unit) {
        let old = |kept: &[(u64, Zeroizing<Vec<u8>>)]| kept.iter().any(|(at, _)| *at < before);
        let groups: Vec<Vec<u8>> = self
            .buffered
            .iter()
            .filter(|(group, kept)| *group != NO_PLACE && !self.is_isolated(group) && old(kept))
            .map(|(group, _)| group.clone())
            .collect();
        for group in groups {
            let kept = self.buffered.remove(&group).unwrap_or_default();
            let (old, young): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(at, _)| *at < before);
            if !young.is_empty() {
                self.buffered.insert(group.clone(), young);
            }
            unit.batch.expire_buffered(self.owner, &group, before);
            for opened in old.iter().filter_map(|(_, kept)| Opened::from_kept(kept)) {
                self.set_aside(opened.hash, &opened.mls, "expired", unit);
            }
        }
    }

    /// Takes what waited for a group; what must wait on is buffered again.
    pub(super) fn unbuffer(&mut self, group: &[u8], unit: &mut Unit) {
        let Some(kept) = self.buffered.remove(group) else {
            return;
        };
        unit.batch.drop_buffered(self.owner, group);
        unit.replay.extend(kept.into_iter().filter_map(|(_, kept)| Opened::from_kept(&kept)));
    }
}

fn bytes(kept: &[(u64, Zeroizing<Vec<u8>>)]) -> usize {
    kept.iter().map(|(_, kept)| kept.len()).sum()
}

impl Opened {
    /// `hash 32 || sealed 1 || MLS bytes`.
    fn to_kept(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&self.hash[..], &[u8::from(self.sealed)], &self.mls].concat())
    }

    pub(super) fn from_kept(kept: &[u8]) -> Option<Self> {
        let (hash, rest) = kept.split_at_checked(32)?;
        let (sealed, mls) = rest.split_first()?;
        let hash = hash.try_into().ok()?;
        let (mls, sealed) = (Zeroizing::new(mls.to_vec()), *sealed == 1);
        Some(Self { mls, sealed, hash, unasked: Vec::new() })
    }
}
