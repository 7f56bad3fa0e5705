//! What the operator does, on a connection of its own.

use quicproquo_schemas::id::IdentityKey;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::row::{key, unsigned};
use super::script::Script;
use crate::store::{IdentityInfo, InviteInfo, NameInfo, NewInvite, Operate, StoreError};

impl Operate for Sqlite {
    async fn ban(&mut self, identity: IdentityKey, now: u64) -> Result<bool, StoreError> {
        let identity = identity.as_bytes().as_slice();
        let mut script = Script::new("SELECT 1 FROM bans WHERE identity = ?");
        script.bind(identity);
        let banned = !script.fetch(&mut self.connection).await?.is_empty();
        let mut script = Script::new("DELETE FROM tokens WHERE identity = ?;");
        script.bind(identity);
        script.push("INSERT INTO bans VALUES (?, ?) ON CONFLICT DO NOTHING;");
        script.bind(identity).bind(now.cast_signed());
        script.push("UPDATE bans_version SET version = version + 1;");
        self.write(script).await?;
        Ok(!banned)
    }

    async fn unban(&mut self, identity: IdentityKey) -> Result<bool, StoreError> {
        let identity = identity.as_bytes().as_slice();
        let mut script = Script::new("UPDATE bans_version SET version = version + 1;");
        script.push("DELETE FROM bans WHERE identity = ? RETURNING 1");
        script.bind(identity);
        Ok(!self.write(script).await?.is_empty())
    }

    async fn identities(
        &mut self,
        after: Option<IdentityKey>,
        limit: u32,
    ) -> Result<Vec<IdentityInfo>, StoreError> {
        let mut script = Script::new(
            "SELECT i.identity, EXISTS (SELECT 1 FROM registrations WHERE identity = i.identity),
                    EXISTS (SELECT 1 FROM bans WHERE identity = i.identity)
             FROM (SELECT identity FROM registrations UNION SELECT identity FROM bans) AS i
             WHERE i.identity > ? ORDER BY i.identity LIMIT ?",
        );
        let after = after.map_or(Vec::new(), |after| after.as_bytes().to_vec());
        script.bind(after).bind(i64::from(limit));
        let mut infos = Vec::new();
        for row in script.fetch(&mut self.connection).await? {
            let identity = key(&row, 0)?;
            let mut script = Script::new("SELECT name FROM names WHERE identity = ? ORDER BY id");
            script.bind(identity.as_bytes().as_slice());
            let names = script.fetch(&mut self.connection).await?;
            infos.push(IdentityInfo {
                identity,
                registered: row.try_get(1)?,
                banned: row.try_get(2)?,
                names: names.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
            });
        }
        Ok(infos)
    }

    async fn create_invite(&mut self, invite: &NewInvite) -> Result<u64, StoreError> {
        let mut script = Script::new(
            "INSERT INTO invites (hash, label, uses, uses_left, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        );
        script
            .bind(invite.hash.as_slice())
            .bind(invite.label.as_str())
            .bind(invite.uses)
            .bind(invite.uses)
            .bind(invite.now.cast_signed())
            .bind(invite.expires_at.map(u64::cast_signed));
        let rows = self.write(script).await?;
        let row = rows.first().ok_or_else(|| StoreError::Database("no answer".into()))?;
        unsigned(row, 0)
    }

    async fn invites(&mut self) -> Result<Vec<InviteInfo>, StoreError> {
        let script = Script::new(
            "SELECT id, label, uses, uses_left, created_at, expires_at FROM invites ORDER BY id",
        );
        script.fetch(&mut self.connection).await?.iter().map(invite).collect()
    }

    async fn revoke_invite(&mut self, id: u64) -> Result<bool, StoreError> {
        let mut script = Script::new("DELETE FROM invites WHERE id = ? RETURNING 1");
        script.bind(id.cast_signed());
        Ok(!self.write(script).await?.is_empty())
    }

    async fn names(&mut self) -> Result<Vec<NameInfo>, StoreError> {
        let script = Script::new(
            "SELECT name, identity, NULL FROM names UNION ALL
             SELECT name, NULL, heir FROM tombstones ORDER BY 1",
        );
        let rows = script.fetch(&mut self.connection).await?;
        let optional = |row: &SqliteRow, at| {
            let bytes: Option<&[u8]> = row.try_get(at)?;
            bytes.map(|_| key(row, at)).transpose()
        };
        rows.iter()
            .map(|row| {
                let (owner, heir) = (optional(row, 1)?, optional(row, 2)?);
                Ok(NameInfo { name: row.try_get(0)?, owner, heir })
            })
            .collect()
    }

    async fn release_name(
        &mut self,
        name: &str,
        heir: Option<IdentityKey>,
    ) -> Result<bool, StoreError> {
        let mut script = Script::default();
        if let Some(heir) = heir {
            script.push("UPDATE tombstones SET heir = ? WHERE name = ? RETURNING 1");
            script.bind(heir.as_bytes().to_vec()).bind(name);
        } else {
            script.push("DELETE FROM tombstones WHERE name = ? RETURNING 1");
            script.bind(name);
        }
        Ok(!self.write(script).await?.is_empty())
    }
}

fn invite(row: &SqliteRow) -> Result<InviteInfo, StoreError> {
    let expires_at: Option<i64> = row.try_get(5)?;
    Ok(InviteInfo {
        id: unsigned(row, 0)?,
        label: row.try_get(1)?,
        uses: row.try_get(2)?,
        uses_left: row.try_get(3)?,
        created_at: unsigned(row, 4)?,
        expires_at: expires_at.map(i64::cast_unsigned),
    })
}
