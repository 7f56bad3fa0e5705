//! The key directory: one-time packages leave once, last resorts stay.

use std::collections::{HashMap, HashSet};

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::MIN_CLAIM_LIFE_SECS;
use sqlx::{Row, SqliteConnection};

use super::row::{damaged, key, unsigned};
use super::script::{Script, chunks};
use crate::store::write::{Claim, Package, Publish};
use crate::store::{Refusal, StoreError, SuiteStock};

/// Not handed out yet.
const ONE_TIME: i64 = 0;
/// Handed out when nothing else is left.
const LAST_RESORT: i64 = 1;
/// Handed out; only its fingerprint is kept, so that publishing it again changes nothing.
const SPENT: i64 = 2;

pub(super) async fn publish(
    connection: &mut SqliteConnection,
    publish: &Publish,
) -> Result<Result<Vec<SuiteStock>, Refusal>, StoreError> {
    let known = known(connection, publish).await?;
    let fresh: Vec<&Package> =
        publish.one_time.iter().filter(|package| !known.contains(&package.fingerprint)).collect();
    let mut counts: HashMap<u16, u32> = HashMap::new();
    // The limit counts all that lives; the answer counts what can be handed out.
    let replaced = publish.replaced();
    let mut alive = alive(connection, publish.identity, publish.now).await?;
    alive.retain(|stock| !replaced.contains(&stock.ciphersuite));
    for stock in alive {
        counts.insert(stock.ciphersuite, stock.one_time);
    }
    for package in &fresh {
        let count = counts.entry(package.ciphersuite).or_default();
        *count += 1;
        if *count > publish.limit {
            return Ok(Err(Refusal::StockFull));
        }
    }

    let mut script = Script::default();
    for ciphersuite in replaced {
        script.push("UPDATE packages SET data = x'', state = ");
        script.push(&SPENT.to_string());
        script.push(" WHERE identity = ? AND ciphersuite = ? AND state = ?");
        script
            .bind(publish.identity.as_bytes().as_slice())
            .bind(i64::from(ciphersuite))
            .bind(ONE_TIME);
        for package in &publish.one_time {
            script.push(" AND fingerprint <> ?");
            script.bind(package.fingerprint.as_slice());
        }
        script.push(";");
    }
    if let Some(package) = &publish.last_resort {
        script.push(
            "DELETE FROM packages WHERE identity = ? AND ciphersuite = ? AND state = ?
                AND fingerprint <> ?;",
        );
        script
            .bind(publish.identity.as_bytes().as_slice())
            .bind(i64::from(package.ciphersuite))
            .bind(LAST_RESORT)
            .bind(package.fingerprint.as_slice());
    }
    let mut new: Vec<(i64, &Package)> =
        fresh.into_iter().map(|package| (ONE_TIME, package)).collect();
    new.extend(publish.last_resort.iter().map(|package| (LAST_RESORT, package)));
    script.rows(
        "INSERT INTO packages (identity, ciphersuite, state, not_after, fingerprint, data) VALUES ",
        &new,
        6,
        " ON CONFLICT (identity, fingerprint) DO NOTHING",
        |script, (state, package)| {
            script
                .bind(publish.identity.as_bytes().as_slice())
                .bind(i64::from(package.ciphersuite))
                .bind(state)
                .bind(package.not_after.cast_signed())
                .bind(package.fingerprint.as_slice())
                .bind(package.data.to_vec());
        },
    );
    script.execute(connection).await?;
    Ok(Ok(stock(connection, publish.identity, publish.now).await?))
}

async fn known(
    connection: &mut SqliteConnection,
    publish: &Publish,
) -> Result<HashSet<[u8; 32]>, StoreError> {
    let mut known = HashSet::new();
    for packages in chunks(&publish.one_time, 1) {
        let mut script = Script::new("SELECT fingerprint FROM packages WHERE identity = ?");
        script.bind(publish.identity.as_bytes().as_slice());
        script.push(" AND fingerprint IN (VALUES ");
        script.tuples(packages, 1, |script, package| {
            script.bind(package.fingerprint.as_slice());
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            let fingerprint: &[u8] = row.try_get(0)?;
            known.insert(fingerprint.try_into().map_err(|error| damaged(&error))?);
        }
    }
    Ok(known)
}

/// What can be handed out: a claim passes over packages that end soon.
pub(super) async fn stock(
    connection: &mut SqliteConnection,
    identity: IdentityKey,
    now: u64,
) -> Result<Vec<SuiteStock>, StoreError> {
    alive(connection, identity, now.saturating_add(MIN_CLAIM_LIFE_SECS)).await
}

/// What lives at a time. The rows counted are bounded by the stock limit.
async fn alive(
    connection: &mut SqliteConnection,
    identity: IdentityKey,
    at: u64,
) -> Result<Vec<SuiteStock>, StoreError> {
    let mut script = Script::new(
        "SELECT ciphersuite, sum(state = 0), max(state = 1) FROM packages
         WHERE identity = ? AND state IN (0, 1) AND not_after >= ?
         GROUP BY ciphersuite ORDER BY ciphersuite",
    );
    script.bind(identity.as_bytes().as_slice()).bind(at.cast_signed());
    let mut stock = Vec::new();
    for row in script.fetch(connection).await? {
        stock.push(SuiteStock {
            ciphersuite: row.try_get(0)?,
            one_time: row.try_get(1)?,
            last_resort: row.try_get(2)?,
        });
    }
    Ok(stock)
}

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> Result<Result<Vec<Vec<u8>>, Refusal>, StoreError> {
    let wanted: Vec<_> =
        claim.targets.iter().filter(|to| to.one_time).map(|to| to.identity).collect();
    let mut found = oldest(connection, claim, &wanted, ONE_TIME).await?;
    let spent: Vec<i64> = found.values().map(|(id, _)| *id).collect();
    let missing: Vec<_> = claim
        .targets
        .iter()
        .map(|to| to.identity)
        .filter(|identity| !found.contains_key(identity))
        .collect();
    found.extend(oldest(connection, claim, &missing, LAST_RESORT).await?);
    let bytes = found.values().map(|(_, bytes)| *bytes).sum();
    if bytes > claim.bytes {
        return Ok(Err(Refusal::ClaimTooLarge { bytes, limit: claim.bytes }));
    }

    let ids: Vec<i64> = found.values().map(|(id, _)| *id).collect();
    let mut data = read(connection, &ids).await?;
    let mut script = Script::default();
    for ids in chunks(&spent, 1) {
        script.push("UPDATE packages SET data = x'', state = ");
        script.push(&SPENT.to_string());
        script.push(" WHERE id IN (VALUES ");
        script.tuples(ids, 1, |script, id| {
            script.bind(*id);
        });
        script.push(");");
    }
    script.execute(connection).await?;
    let mut take = |identity| data.remove(&found.get(identity)?.0);
    Ok(Ok(claim.targets.iter().map(|to| take(&to.identity).unwrap_or_default()).collect()))
}

/// The oldest package of each identity that lives long enough: its id and size in bytes.
async fn oldest(
    connection: &mut SqliteConnection,
    claim: &Claim,
    identities: &[IdentityKey],
    state: i64,
) -> Result<HashMap<IdentityKey, (i64, u64)>, StoreError> {
    let mut found = HashMap::new();
    for identities in chunks(identities, 1) {
        let mut script = Script::new("SELECT p.identity, p.id, length(p.data) FROM (VALUES ");
        script.tuples(identities, 1, |script, identity| {
            script.bind(identity.as_bytes().as_slice());
        });
        script.push(
            ") AS w CROSS JOIN packages AS p ON p.id =
                (SELECT q.id FROM packages AS q WHERE q.identity = w.column1
                 AND q.ciphersuite = ? AND q.state = ? AND q.not_after >= ?
                 ORDER BY q.id LIMIT 1)",
        );
        script.bind(i64::from(claim.ciphersuite)).bind(state).bind(claim.alive_until.cast_signed());
        for row in script.fetch(connection).await? {
            found.insert(key(&row, 0)?, (row.try_get(1)?, unsigned(&row, 2)?));
        }
    }
    Ok(found)
}

/// The bytes of packages, by id.
async fn read(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<HashMap<i64, Vec<u8>>, StoreError> {
    let mut data = HashMap::new();
    for ids in chunks(ids, 1) {
        let mut script = Script::new("SELECT id, data FROM packages WHERE id IN (VALUES ");
        script.tuples(ids, 1, |script, id| {
            script.bind(*id);
        });
        script.push(")");
        for row in script.fetch(connection).await? {
            data.insert(row.try_get(0)?, row.try_get(1)?);
        }
    }
    Ok(data)
}

/// Marks every one-time package as handed out; returns their number.
pub(super) async fn spend_all(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let spent = sqlx::query("UPDATE packages SET state = ?, data = x'' WHERE state = ?")
        .bind(SPENT)
        .bind(ONE_TIME)
        .execute(connection)
        .await?;
    Ok(spent.rows_affected())
}
