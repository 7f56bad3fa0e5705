//! Who is registered, and what goes with an identity.

use sqlx::{Row, SqliteConnection};

use super::blobs;
use super::script::Script;
use crate::store::write::{Admit, Deletion, Terms};
use crate::store::{INVITE_BAD, INVITE_NEEDED, NOBODY_NEW, Refusal, StoreError};

pub(super) async fn admit(
    connection: &mut SqliteConnection,
    admit: &Admit,
) -> Result<Result<(), Refusal>, StoreError> {
    let identity = admit.identity.as_bytes().as_slice();
    let mut script = Script::new(
        "SELECT EXISTS (SELECT 1 FROM bans WHERE identity = ?),
                EXISTS (SELECT 1 FROM registrations WHERE identity = ?)",
    );
    script.bind(identity).bind(identity);
    let rows = script.fetch(connection).await?;
    let row = rows.first().ok_or_else(|| StoreError::Database("no answer".into()))?;
    if row.try_get(0)? {
        return Ok(Err(Refusal::Banned));
    }
    if row.try_get(1)? {
        return Ok(Ok(()));
    }
    let now = admit.now.cast_signed();
    match admit.terms {
        Terms::Open => {}
        Terms::Closed => return Ok(Err(Refusal::RegistrationRefused(NOBODY_NEW))),
        Terms::Invite(None) => return Ok(Err(Refusal::RegistrationRefused(INVITE_NEEDED))),
        Terms::Invite(Some(hash)) => {
            let mut script = Script::new(
                "UPDATE invites SET uses_left = uses_left - 1 WHERE hash = ? AND uses_left > 0
                    AND coalesce(expires_at > ?, 1) RETURNING id",
            );
            script.bind(hash.as_slice()).bind(now);
            if script.fetch(connection).await?.is_empty() {
                return Ok(Err(Refusal::RegistrationRefused(INVITE_BAD)));
            }
        }
    }
    let mut script = Script::new("INSERT INTO registrations VALUES (?, ?)");
    script.bind(identity).bind(now);
    script.execute(connection).await?;
    Ok(Ok(()))
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    step: &Deletion,
) -> Result<(), StoreError> {
    let gone = match step {
        Deletion::Mark { identity, heir } => {
            let mut script = Script::new(
                "INSERT INTO deletions VALUES (?, ?)
                 ON CONFLICT DO UPDATE SET heir = excluded.heir",
            );
            let heir = heir.map(|heir| heir.as_bytes().to_vec());
            script.bind(identity.as_bytes().as_slice()).bind(heir);
            return script.execute(connection).await;
        }
        Deletion::Unmark { identity } => {
            let mut script = Script::new("DELETE FROM deletions WHERE identity = ?");
            script.bind(identity.as_bytes().as_slice());
            return script.execute(connection).await;
        }
        Deletion::Finish { identity } => identity,
    };
    let key = gone.as_bytes().as_slice();
    let mut script = Script::new("SELECT 1 FROM deletions WHERE identity = ?");
    script.bind(key);
    if script.fetch(connection).await?.is_empty() {
        return Ok(());
    }
    let mut script = Script::default();
    for statement in [
        "INSERT INTO tombstones SELECT n.name, d.heir FROM names AS n
            JOIN deletions AS d ON d.identity = n.identity WHERE n.identity = ?;",
        "DELETE FROM names WHERE identity = ?;",
        "DELETE FROM packages WHERE identity = ?;",
        "DELETE FROM hybrid_keys WHERE identity = ?;",
        "DELETE FROM tokens WHERE identity = ?;",
        "DELETE FROM registrations WHERE identity = ?;",
        "DELETE FROM deletions WHERE identity = ?;",
    ] {
        script.push(statement);
        script.bind(key);
    }
    script.execute(connection).await?;
    blobs::release_all(connection, gone).await
}
