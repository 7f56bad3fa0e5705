//! What has come in: hashes of processed payloads, and payloads that must wait.

use zeroize::Zeroizing;

use super::damage::{DamagedRow, Place, intact};
use super::seal::Sealer;
use super::{Owner, Store, StoreError, record, uint};

/// Group, number, when it came (unix milliseconds), payload.
type Buffered = (Vec<u8>, u64, u64, Zeroizing<Vec<u8>>);

impl Store {
    /// Whether a payload was processed that goes by one of these hashes.
    pub(crate) fn knows(&self, owner: Owner, hashes: &[[u8; 32]]) -> Result<bool, StoreError> {
        self.lookup.knows(owner, hashes)
    }

    /// Opened payloads that wait for a group or an epoch, in the order they came.
    pub(crate) async fn buffered(
        &self,
        owner: Owner,
        damaged: &mut Vec<DamagedRow>,
    ) -> Result<Vec<Buffered>, StoreError> {
        let rows: Vec<(Vec<u8>, i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT group_id, n, created_at, payload FROM buffered WHERE owner = ? ORDER BY n",
        )
        .bind(owner.0)
        .fetch_all(&self.reads)
        .await?;
        let mut buffered = Vec::with_capacity(rows.len());
        for (group, n, at, sealed) in rows {
            let n = uint(n);
            let opened = self.sealer.open("buffered", &buffered_row(owner, &group, n), &sealed);
            match intact("buffered", owner, n, opened.map_err(Into::into))? {
                Some(payload) => buffered.push((group, n, uint(at), payload)),
                None => {
                    damaged.push(DamagedRow { place: Place::Buffered(group, n), bytes: sealed });
                }
            }
        }
        Ok(buffered)
    }
}

fn buffered_row(owner: Owner, group: &[u8], n: u64) -> Vec<u8> {
    [&record::row(owner.0, n)[..], group].concat()
}

pub(super) fn seal_buffered(
    sealer: &Sealer,
    owner: Owner,
    group: &[u8],
    n: u64,
    payload: &[u8],
) -> Vec<u8> {
    sealer.seal("buffered", &buffered_row(owner, group, n), payload)
}

pub(super) fn seal_set_aside(
    sealer: &Sealer,
    owner: Owner,
    hash: &[u8; 32],
    payload: &[u8],
) -> Vec<u8> {
    sealer.seal("set_aside", &record::named(owner.0, hash), payload)
}
