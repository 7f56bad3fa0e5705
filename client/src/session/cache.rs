//! Groups are loaded when they are needed, and leave memory when others need the room.

use quicproquo_core::group::Group;
use quicproquo_core::id::GroupId;
use quicproquo_core::provider::group_scope;

use super::actor::Actor;
use crate::guard::guarded;
use crate::store::StoreError;

impl Actor {
    /// The MLS state of a group, loaded when it is not.
    pub(super) async fn mls(&mut self, id: &GroupId) -> Result<Option<&mut Group>, StoreError> {
        let Some(slot) = self.groups.get(id) else {
            return Ok(None);
        };
        if slot.mls.is_none() {
            self.make_room()?;
            let Some(mls) = self.loaded(id).await? else {
                return Ok(None);
            };
            self.in_use += mls.weight();
            if let Some(slot) = self.groups.get_mut(id) {
                slot.mls = Some(mls);
            }
        }
        Ok(self.groups.get_mut(id).and_then(|slot| slot.mls.as_deref_mut()))
    }

    /// A group out of memory or out of its rows. `None`: they do not load.
    async fn loaded(&mut self, id: &GroupId) -> Result<Option<Box<Group>>, StoreError> {
        if let Some(mls) = self.store.loaded().take(self.owner, id) {
            return Ok(Some(mls));
        }
        let Some(rows) = self.mls_rows(&group_scope(id.as_bytes())).await? else {
            return Ok(None);
        };
        match guarded("load", id.as_bytes(), || Group::load(id, rows)) {
            Some(Ok(mls)) => Ok(Some(Box::new(mls))),
            Some(Err(error)) => {
                tracing::error!(%error, "a group's rows do not load");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Before another group is loaded: a unit of work that touches many groups writes what it has
    /// done and drops them, so that it does not need memory for all of them at once.
    fn make_room(&mut self) -> Result<(), StoreError> {
        if self.in_use <= self.store.loaded().unit_limit() {
            return Ok(());
        }
        self.in_use = 0;
        for (id, slot) in &mut self.groups {
            if let Some(mut mls) = slot.mls.take() {
                // Read again, its rows come out of the overlay.
                let writes = mls.take_writes();
                let failed =
                    |error: quicproquo_core::StoreError| StoreError::Row("mls", error.to_string());
                self.overlay.put_all(writes.map_err(failed)?);
                drop(self.store.loaded().take(self.owner, id));
            }
        }
        Ok(())
    }

    /// After a commit: the groups equal their rows, and others may need the room.
    pub(super) fn give_back(&mut self) {
        self.in_use = 0;
        for (id, slot) in &mut self.groups {
            if let Some(mls) = slot.mls.take() {
                self.store.loaded().give(self.owner, id, mls);
            }
        }
    }
}
